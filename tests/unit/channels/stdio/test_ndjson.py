"""The protocol of programs, line by line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base.messages import Accepted, Inbound
from channels.stdio.dialect import SCOPES, Cancel, Malformed, Request, Say
from channels.stdio.ndjson import NdjsonDialect
from gateway.core.errors import Bug, Busy, Conflict
from gateway.core.ids import AgentId, TurnId
from gateway.core.keys import RouteKey, SessionKey, SessionScope
from gateway.core.parts import File, Image, Text
from tests.unit.channels.recording import outbound

DIALECT = NdjsonDialect()


def read(**members: Any) -> Request | None:
    return DIALECT.read(json.dumps(members).encode())


def one_line(text: str) -> dict[str, Any]:
    assert text.endswith("\n")
    assert text.count("\n") == 1
    value: dict[str, Any] = json.loads(text)
    return value


# --- in ------------------------------------------------------------------------------------------


def test_a_text_is_a_message_of_the_local_peer() -> None:
    route = RouteKey("stdio", "local", peer="local")
    assert read(text=" hello\n") == Say(Inbound(route, (Text(" hello\n"),), "local", scopes=SCOPES))


def test_every_member_has_its_place() -> None:
    assert read(
        id="a1",
        text="hi",
        peer="p",
        group="g",
        thread="t",
        guild="u",
        agent="ops",
        idempotency_key="k",
    ) == Say(
        Inbound(
            RouteKey("stdio", "local", guild="u", group="g", thread="t", peer="p"),
            (Text("hi"),),
            "local",
            external_id="a1",
            idempotency_key="k",
            agent=AgentId("ops"),
            scopes=SCOPES,
        ),
        id="a1",
    )


def test_a_message_may_have_parts_instead_of_a_text() -> None:
    request = read(
        parts=[
            {"type": "text", "text": "look"},
            {"type": "image", "url": "https://example.org/a.png"},
            {"type": "file", "name": "b.txt", "url": "data:,b"},
        ]
    )
    assert isinstance(request, Say)
    assert request.message.parts == (
        Text("look"),
        Image("https://example.org/a.png"),
        File("b.txt", "data:,b"),
    )


def test_a_turn_is_cancelled_by_its_id() -> None:
    assert read(cancel="t_1") == Cancel(TurnId("t_1"))
    assert read(cancel="t_1", id="c1") == Cancel(TurnId("t_1"), id="c1")


@pytest.mark.parametrize("line", [b"", b"  ", b"\r", b"\t"])
def test_blank_lines_mean_nothing(line: bytes) -> None:
    assert DIALECT.read(line) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"hello", "not a JSON object in UTF-8"),
        (b'{"text": "hi"', "not a JSON object in UTF-8"),
        (b'{"text": "\xff"}', "not a JSON object in UTF-8"),
        (b'{"text": "\\ud83d"}', "not a JSON object in UTF-8"),
        (b'{"text": NaN}', "not a JSON object in UTF-8"),
        (b"[" * 5000, "not a JSON object in UTF-8"),
        (b'["hi"]', "got list"),
        (b"1", "got int"),
        (b"null", "got NoneType"),
        (b"{}", "either 'text' or 'parts'"),
        (b'{"text": "hi", "parts": []}', "either 'text' or 'parts'"),
        (b'{"text": " \\n"}', "is not empty"),
        (b'{"parts": []}', "is not empty"),
        (b'{"parts": [{"type": "video"}]}', "parts[0].type must be text, image or file"),
        (b'{"parts": "hi"}', "parts: Input should be a valid list"),
        (b'{"text": 1}', "text: Input should be a valid string"),
        (b'{"id": 7, "text": "hi"}', "id: Input should be a valid string"),
        (b'{"txet": "hi", "text": "hi"}', "txet: no such member; did you mean 'text'?"),
        (b'{"text": "hi", "peer": ""}', "peer: String should have at least 1 character"),
        (b'{"cancel": ""}', "cancel: String should have at least 1 character"),
        (b'{"cancel": "t_1", "text": "hi"}', "text: no such member; it takes cancel ("),
        (b'{"text": "hi", "id": "' + b"x" * 257 + b'"}', "at most 256 characters"),
    ],
)
def test_a_line_that_breaks_the_rules_says_which(line: bytes, why: str) -> None:
    request = DIALECT.read(line)
    assert isinstance(request, Malformed)
    assert why in request.why


def test_of_many_problems_the_first_are_named() -> None:
    request = read(text="hi", a=1, b=2, c=3, d=4, e=5)
    assert isinstance(request, Malformed)
    assert request.why.count("no such member") == 3
    assert request.why.endswith("; and 2 more")


def test_a_malformed_line_keeps_its_id_when_that_can_be_read() -> None:
    assert read(id="a1", text=5) == Malformed("text: Input should be a valid string", id="a1")


@given(st.binary(max_size=200))
def test_no_line_raises(line: bytes) -> None:
    DIALECT.read(line)


@given(st.text(min_size=1).filter(lambda text: bool(text.strip())))
def test_every_text_arrives_as_it_is(text: str) -> None:
    request = DIALECT.read(json.dumps({"text": text}).encode())
    assert isinstance(request, Say)
    assert request.message.parts == (Text(text),)


# --- out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["a1", ""])
def test_accepted(id: str) -> None:
    say = Say(Inbound(RouteKey(), (Text("hi"),), "local"), id=id)
    session = SessionKey(SessionScope.MAIN, AgentId("main"))
    accepted = Accepted(TurnId("t_1"), session, AgentId("main"), position=3, duplicate=True)
    assert one_line(DIALECT.accepted(say, accepted)) == {
        "type": "accepted",
        "id": id or None,
        "turn_id": "t_1",
        "session": str(session),
        "position": 3,
        "duplicate": True,
    }


def test_refused_says_who_must_do_what() -> None:
    assert one_line(DIALECT.refused("a1", Busy("20 wait", retry_after_ms=1500))) == {
        "type": "refused",
        "id": "a1",
        "error": {
            "code": -32029,
            "kind": "busy",
            "message": "20 wait",
            "retryable": True,
            "retry_after_ms": 1500,
        },
    }


def test_a_refused_cancel_names_its_turn() -> None:
    line = one_line(DIALECT.refused("", Conflict("it has ended"), turn_id=TurnId("t_1")))
    assert (line["type"], line["id"], line["turn_id"]) == ("refused", None, "t_1")
    assert line["error"]["kind"] == "conflict"


def test_the_text_of_a_foreign_exception_stays_inside() -> None:
    error = one_line(DIALECT.refused("a1", ValueError("the password is hunter2")))["error"]
    assert error["kind"] == "internal"
    assert error["message"] == "internal error"


def test_a_bug_carries_its_error_id() -> None:
    error = one_line(DIALECT.refused("a1", Bug("something broke", error_id="e_1")))["error"]
    assert error["error_id"] == "e_1"


def test_cancelled() -> None:
    assert one_line(DIALECT.cancelled("", TurnId("t_1"))) == {
        "type": "cancelled",
        "id": None,
        "turn_id": "t_1",
    }


def test_error_names_the_line() -> None:
    line = one_line(DIALECT.malformed(Malformed("not JSON", id="a1"), line=7))
    assert (line["type"], line["id"], line["line"]) == ("error", "a1", 7)
    assert line["error"]["kind"] == "invalid"
    assert line["error"]["message"] == "not JSON"


def test_message() -> None:
    assert one_line(DIALECT.message(outbound("hi", key="k_9", part=2), agent="main")) == {
        "type": "message",
        "delivery_key": "k_9",
        "turn_id": "t_1",
        "text": "hi",
        "part": 2,
        "parts": 2,
        "destination": "stdio:local:local:",
    }


@given(st.text(st.characters()))
def test_every_text_leaves_as_one_line_of_utf_8(text: str) -> None:
    """Lone surrogates, which Python allows and UTF-8 does not, are escaped."""
    line = DIALECT.message(outbound(text), agent="")
    assert one_line(line.encode().decode())["text"] == text


def test_programs_need_no_prompt() -> None:
    assert DIALECT.prompt() == ""
