"""The seam itself: a channel declares what it can do, reads what comes, sends what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from channels.base.messages import Accepted, Inbound, Outbound, Receipt, TurnEnd
from gateway.core.ids import TurnId


class TextUnit(StrEnum):
    """How a destination counts the length of a message."""

    CHARS = "chars"
    """Unicode code points."""
    UTF16 = "utf16"
    """UTF-16 code units, as Discord and Telegram count."""
    BYTES = "bytes"
    """UTF-8 bytes."""

    def length(self, text: str) -> int:
        """How long a destination that counts so finds `text`; lone surrogates count, too."""
        match self:
            case TextUnit.CHARS:
                return len(text)
            case TextUnit.UTF16:
                return len(text.encode("utf-16-le", "surrogatepass")) // 2
            case TextUnit.BYTES:
                return len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel can do; the gateway adapts, the channel never guesses.

    `limit` is the longest message in `unit`, None for no limit. `dedupes`: showing the same
    delivery key twice is impossible, so an interrupted send may be repeated. `pulled`: receivers
    fetch what is theirs over some other way, so nothing is ever handed to `send`; then the one
    channel serves every account.
    """

    unit: TextUnit = TextUnit.CHARS
    limit: int | None = None
    dedupes: bool = False
    pulled: bool = False


class Intake(Protocol):
    """The gateway as a channel sees it."""

    async def accept(self, message: Inbound) -> Accepted:
        """Make a message durable.

        Raises a typed error and keeps nothing when it is refused. Cancelling does not undo it:
        send the same external id or idempotency key again to learn what became of it.
        """
        ...

    async def cancel(self, turn_id: TurnId) -> None:
        """Ask a turn to stop; raises `NotFound`, or `Conflict` when it has ended or merged."""
        ...


class Channel(Protocol):
    """A way for people or programs to reach agents."""

    @property
    def name(self) -> str: ...

    @property
    def account(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    async def run(self, intake: Intake) -> None:
        """Read until the source ends or the task is cancelled; both leave nothing half read."""
        ...

    async def send(self, message: Outbound) -> Receipt:
        """Hand one message over.

        Raises `DeliveryTransient`, `DeliveryPermanent` or `DeliveryUnknown`; any other exception
        counts as unknown. Cancelled: the outcome is unknown.
        """
        ...

    async def close(self) -> None: ...


class Terminal(Channel, Protocol):
    """A channel over a process's own streams, whose other side may want to know of every end."""

    async def ended(self, end: TurnEnd) -> None:
        """Tell how a turn ended, where its messages do not; returns when it has left."""
        ...
