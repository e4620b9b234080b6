"""What a line of input may ask for, and what a dialect of the stdio channel has to know.

A dialect is pure: it reads lines and renders lines. `channels.stdio.plain` speaks to people,
`channels.stdio.ndjson` to programs; `channels.stdio.channel` does what the lines ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from channels.base.messages import Accepted, Inbound, Outbound, TurnEnd
from gateway.core.ids import TurnId

CHANNEL = "stdio"
ACCOUNT = "local"
PRINCIPAL = "local"
"""The holder of the process's streams is the person who started it."""
PEER = "local"
SCOPES = frozenset({"read", "chat", "operator", "admin"})
"""That person may do everything."""


@dataclass(frozen=True, slots=True)
class Say:
    """A message for an agent; `id` is what the sender calls it, if anything."""

    message: Inbound
    id: str = ""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop this turn."""

    turn_id: TurnId
    id: str = ""


@dataclass(frozen=True, slots=True)
class Quit:
    """Read no further."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """A line that asks for nothing we know; `why` is a sentence for its sender."""

    why: str
    id: str = ""


Request = Say | Cancel | Quit | Malformed


class Dialect(Protocol):
    """How lines are read and written. Every rendered text ends its own line; empty is no text."""

    @property
    def dedupes(self) -> bool:
        """Whether the reader of stdout sees delivery keys and shows each once."""
        ...

    @property
    def encoding(self) -> str: ...

    @property
    def notices_to_stdout(self) -> bool:
        """Whether what is not an agent's message goes to stdout as well, instead of stderr."""
        ...

    def read(self, line: bytes) -> Request | None:
        """What one line, without its end, asks for; None when it is blank."""
        ...

    def accepted(self, say: Say, accepted: Accepted) -> str: ...

    def refused(self, id: str, error: Exception, *, turn_id: TurnId | None = None) -> str:
        """A message, or with `turn_id` the wish to stop that turn, was refused."""
        ...

    def cancelled(self, id: str, turn_id: TurnId) -> str: ...

    def malformed(self, problem: Malformed, *, line: int) -> str: ...

    def message(self, message: Outbound, *, agent: str) -> str:
        """`agent` is empty for a turn that was not accepted by this process."""
        ...

    def ended(self, end: TurnEnd) -> str:
        """What a message of the turn did not say already; empty when that is everything."""
        ...

    def prompt(self) -> str:
        """What shows a person that the next line may be typed; empty without a terminal."""
        ...
