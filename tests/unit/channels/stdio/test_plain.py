"""What people type and read."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base.messages import Accepted, Inbound
from channels.stdio.dialect import SCOPES, Malformed, Quit, Say
from channels.stdio.plain import PlainDialect, for_streams
from gateway.core.errors import Busy, InvalidInput
from gateway.core.ids import AgentId, TurnId
from gateway.core.keys import RouteKey, SessionKey, SessionScope
from gateway.core.parts import Text
from tests.support.standins import Terminal
from tests.unit.channels.recording import outbound

PIPE = PlainDialect()
TERMINAL = PlainDialect(prompting=True, escapes=True, colour=True)


def said(line: bytes, dialect: PlainDialect = PIPE) -> str:
    request = dialect.read(line)
    assert isinstance(request, Say)
    [part] = request.message.parts
    assert isinstance(part, Text)
    return part.text


# --- in ------------------------------------------------------------------------------------------


def test_a_line_is_a_message_of_the_local_peer() -> None:
    route = RouteKey("stdio", "local", peer="local")
    assert PIPE.read(b"hello") == Say(Inbound(route, (Text("hello"),), "local", scopes=SCOPES))


@pytest.mark.parametrize("line", [b"", b"   ", b"\t", "\u3000".encode()])
def test_blank_lines_mean_nothing(line: bytes) -> None:
    assert PIPE.read(line) is None


@pytest.mark.parametrize("line", [b"/quit", b"/exit", b"/exit "])
def test_quit(line: bytes) -> None:
    assert PIPE.read(line) == Quit()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"/help", "/help"),
        (b"/new topic", "/new topic"),
        (b"/stop now", "/stop now"),
        (b" /stop", " /stop"),
        (b"//stop", "//stop"),
        (b"///stop", "///stop"),
        (b"// a comment", "// a comment"),
        ("  naïve 日本 🐙  ".encode(), "  naïve 日本 🐙  "),
    ],
)
def test_everything_else_is_text(line: bytes, text: str) -> None:
    assert said(line) == text


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert said(b"caf\xe9!") == "caf\ufffd!"
    assert said(b"caf\xe9!", PlainDialect(encoding="latin-1")) == "café!"


@given(st.binary(max_size=100))
def test_no_line_raises(line: bytes) -> None:
    PIPE.read(line)


# --- out -----------------------------------------------------------------------------------------


def test_without_a_terminal_an_answer_is_bare_text() -> None:
    text = "two\nlines \x1b[31m日本"
    assert PIPE.message(outbound(text), agent="main") == f"{text}\n"
    assert PIPE.prompt() == ""


def test_on_a_terminal_an_answer_replaces_the_prompt_and_is_named() -> None:
    assert TERMINAL.prompt() == "> "
    assert TERMINAL.message(outbound("hi"), agent="main") == "\r\x1b[K\x1b[36mmain:\x1b[0m hi\n"
    plain = PlainDialect(prompting=True)
    assert plain.message(outbound("hi"), agent="main") == "\nmain: hi\n"


def test_an_answer_to_a_turn_of_an_earlier_process_is_named_too() -> None:
    assert PlainDialect(prompting=True).message(outbound("hi"), agent="") == "\nagent: hi\n"


def test_a_terminal_is_not_steered_by_an_answer() -> None:
    """A title, a cleared screen, a clipboard: whatever a model can be made to repeat."""
    text = "a\x1b]52;c;aGk=\x07b\x1b[2J\r\x7f\x9b1mc\n\td"
    shown = PlainDialect(prompting=True).message(outbound(text), agent="main")
    assert shown == "\nmain: a␛]52;c;aGk=␇b␛[2J␍␡\ufffd1mc\n\td\n"


def test_accepting_is_silent() -> None:
    accepted = Accepted(TurnId("t_1"), SessionKey(SessionScope.MAIN, AgentId("m")), AgentId("m"), 0)
    assert PIPE.accepted(Say(Inbound(RouteKey(), (), "local")), accepted) == ""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InvalidInput("a text is\n at most so long"), "a text is at most so long"),
        (Busy("20 wait", retry_after_ms=1), "20 wait (try again in 1 s)"),
        (Busy("20 wait", retry_after_ms=1001), "20 wait (try again in 2 s)"),
        (InvalidInput("odd \x1b[2J"), "odd ␛[2J"),
        (ValueError("the password is hunter2"), "internal error; the log says more"),
    ],
)
def test_a_refusal_is_one_line(error: Exception, line: str) -> None:
    assert PIPE.refused("", error) == f"turngate: {line}\n"


def test_notices_say_whose_they_are() -> None:
    assert PIPE.cancelled("", TurnId("t_1")) == "turngate: stopping turn t_1\n"
    assert PIPE.malformed(Malformed("too long"), line=3) == "turngate: too long\n"


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stdin", "stdout"),
    [
        (io.StringIO(), io.StringIO()),
        (Terminal(), io.StringIO()),
        (io.StringIO(), Terminal()),
    ],
)
def test_a_prompt_needs_a_terminal_on_both_sides(stdin: io.StringIO, stdout: io.StringIO) -> None:
    dialect = for_streams(stdin, stdout, {"FORCE_COLOR": "1"})
    assert dialect.prompt() == ""
    assert dialect.message(outbound("hi"), agent="main") == "hi\n"


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({"TERM": "xterm"}, "\r\x1b[K\x1b[36mmain:\x1b[0m hi\n"),
        ({"TERM": "xterm", "NO_COLOR": "1"}, "\r\x1b[Kmain: hi\n"),
        ({"TERM": "dumb"}, "\nmain: hi\n"),
    ],
)
def test_a_terminal_is_used_as_the_environment_says(environ: dict[str, str], shown: str) -> None:
    dialect = for_streams(Terminal(), Terminal(), environ)
    assert dialect.prompt() == "> "
    assert dialect.message(outbound("hi"), agent="main") == shown


def test_the_encoding_is_the_terminals() -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert for_streams(io.StringIO(), stdout, {}).encoding == "latin-1"
    assert for_streams(io.StringIO(), io.StringIO(), {}).encoding == "utf-8"
