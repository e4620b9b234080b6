"""Texts made to cost time: nothing that looks for something in them may look twice.

Each is so long that what takes a step for each pair of letters takes a minute: the tests' own
time limit is the assertion.
"""

from __future__ import annotations

import pytest

from agents.models.classify import classify
from agents.models.refusal import read_refusal
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
