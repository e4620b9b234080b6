"""Texts made to cost time, and texts made to act on the terminal of whoever looks at them.

The former are so long that what takes a step for each pair of letters takes a minute: the tests'
own time limit is the assertion.
"""

from __future__ import annotations

import json
import sys

import click
import pytest

from agents.models.classify import classify
from agents.models.refusal import read_refusal
from gateway.cli.main import turngate
from gateway.cli.output import say, show
from gateway.core.errors import InvalidInput
from gateway.telemetry.redaction import MASK, Redactor

SIZE = 200_000
PIECES = (
    *("eyJ-", "eyJaaaaaa.", "eyJaaaaaa.eyJaaaaaa-", "://a", "://", "?token-", "&key", "&-"),
    *("bearer ", "authorization ", "authorization: a", "api_key ", "x-api-key", "cookie: "),
    *("sk-", "gh", "AKIA", "password", "-", " ", "a"),
)
"""Beginnings of what is looked for, which never come to an end."""
COMPLAINTS = (
    *("exceeds ", "exceeds the ", "input token count ", "maximum context length is ", "1,"),
    *("exceed context limit: 1 + ", "rate limit", "tokens per ", "> 1", "context size of "),
)


@pytest.mark.parametrize("piece", PIECES)
def test_no_text_makes_a_log_line_expensive(piece: str) -> None:
    """A path, a header or an answer of a model server is such a text, and a stranger's choice."""
    text = (piece * SIZE)[:SIZE]
    assert Redactor(["known-to-us"]).text(f"{text} known-to-us") != ""
    assert Redactor(["known-to-us"]).text(f"known-to-us {text}").startswith(MASK)


@pytest.mark.parametrize("piece", COMPLAINTS)
def test_no_complaint_of_a_model_server_is_expensive(piece: str) -> None:
    body = {"error": {"message": (piece * SIZE)[:SIZE], "code": (piece * SIZE)[:SIZE]}}
    assert classify(read_refusal(body, status=400)) in ("overflow", "bad_request")


HOSTILE = "a\x1b]0;title\x07b\x9b31mc\rd\x08e\u202ef\u2028g"
"""Sets a title, turns red, goes back, and turns the text around."""
SHOWN = "a�]0;title�b�31mc�d�e�f�g"


def test_what_a_model_wrote_does_not_act_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    say(f"\U0001f469\u200d\U0001f4bb\t{HOSTILE}\nend")
    assert capsys.readouterr().out == f"\U0001f469\u200d\U0001f4bb\t{SHOWN}\nend\n"


def test_a_program_gets_what_a_model_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    """Into a pipe it goes unchanged."""
    say(HOSTILE)
    assert capsys.readouterr().out == f"{HOSTILE}\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_no_result_acts_on_a_terminal(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """In cells, in names, in lists; as JSON it reads back equal."""
    result = {"label": HOSTILE, "tags": {HOSTILE: HOSTILE}, "rows": [{"said": HOSTILE}]}
    show(result, as_json=as_json)
    out = capsys.readouterr().out
    if as_json:
        assert json.loads(out) == result
        assert not set(out) & set(HOSTILE) - set(SHOWN)
    else:
        assert out.count(SHOWN) == 4


def test_no_refusal_acts_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server's words are in it."""

    def refuse(_ctx: click.Context) -> None:
        raise InvalidInput(HOSTILE)

    monkeypatch.setattr(click.Group, "invoke", lambda _group, ctx: refuse(ctx))
    with pytest.raises(SystemExit):
        turngate(["status"])
    assert capsys.readouterr().err == f"turngate: {SHOWN}\n"
