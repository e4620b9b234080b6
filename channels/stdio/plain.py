"""The dialect of people: a line typed is a message, an answer is text.

`/quit` and `/exit` are the channel's own; the other commands are the gateway's. Without a terminal
the output is bare text, unchanged. On a terminal control characters of an answer are made visible:
what a model repeats must not move the cursor, set a title or write to the clipboard.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import TextIO

from channels.base.messages import Accepted, Inbound, Outbound, TurnEnd
from channels.stdio.dialect import (
    ACCOUNT,
    CHANNEL,
    PEER,
    PRINCIPAL,
    SCOPES,
    Malformed,
    Quit,
    Request,
    Say,
)
from gateway.core.errors import TurngateError
from gateway.core.ids import TurnId
from gateway.core.keys import RouteKey
from gateway.core.parts import Text
from gateway.core.terminal import redraws, wants_colour

PROMPT = "> "
"""What a person at a terminal is shown while they may type."""


ERASE_LINE = "\r\x1b[K"
NAME, PLAIN = "\x1b[36m", "\x1b[0m"

_VISIBLE = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
"""Control characters and their pictures; C1, which some terminals obey, has none."""


class PlainDialect:
    """`prompting`: a person sits in front of it. `escapes`: the terminal knows more than text."""

    dedupes = False
    notices_to_stdout = False

    def __init__(
        self,
        *,
        prompting: bool = False,
        escapes: bool = False,
        colour: bool = False,
        encoding: str = "utf-8",
    ) -> None:
        self.encoding = encoding
        self._prompting = prompting
        self._erase = (ERASE_LINE if escapes else "\n") if prompting else ""
        self._colour = colour

    def read(self, line: bytes) -> Request | None:
        text = line.decode(self.encoding, "replace")
        match text.rstrip():
            case "":
                return None
            case "/quit" | "/exit":
                return Quit()
        route = RouteKey(CHANNEL, ACCOUNT, peer=PEER)
        said = Inbound(route=route, parts=(Text(text),), principal=PRINCIPAL, scopes=SCOPES)
        return Say(said)

    def accepted(self, say: Say, accepted: Accepted) -> str:
        return ""

    def refused(self, id: str, error: Exception, *, turn_id: TurnId | None = None) -> str:
        if not isinstance(error, TurngateError):
            return self._notice("internal error; the log says more")
        hint = ""
        if error.retry_after_ms is not None:
            hint = f" (try again in {ceil(error.retry_after_ms / 1000)} s)"
        return self._notice(f"{error}{hint}")

    def cancelled(self, id: str, turn_id: TurnId) -> str:
        return self._notice(f"stopping turn {turn_id}")

    def malformed(self, problem: Malformed, *, line: int) -> str:
        return self._notice(problem.why)

    def ended(self, end: TurnEnd) -> str:
        return ""  # the sentence that says so is a message

    def message(self, message: Outbound, *, agent: str) -> str:
        if not self._prompting:
            return f"{message.text}\n"
        name = f"{agent or 'agent'}:"
        if self._colour:
            name = f"{NAME}{name}{PLAIN}"
        return f"{self._erase}{name} {message.text.translate(_VISIBLE)}\n"

    def prompt(self) -> str:
        return PROMPT if self._prompting else ""

    def _notice(self, text: str) -> str:
        one_line = " ".join(text.split()).translate(_VISIBLE)
        return f"turngate: {one_line}\n"


def for_streams(stdin: TextIO, stdout: TextIO, environ: Mapping[str, str]) -> PlainDialect:
    """The dialect that suits the streams: a prompt needs a terminal on both sides."""
    terminal = stdin.isatty() and stdout.isatty()
    return PlainDialect(
        prompting=terminal,
        escapes=stdin.isatty() and redraws(stdout, environ),
        colour=terminal and wants_colour(environ),
        encoding=stdout.encoding or "utf-8",
    )
