"""The contract itself: commit a unit, read a query, hear of what was committed.

Implementations pass `tests/contract/test_store.py`. Nothing above this file names a database.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, runtime_checkable

from gateway.store.base.catalog import Op
from gateway.store.base.events import EventRow
from gateway.store.base.query import Query, Row


class Durability(IntEnum):
    """What a write survives once `commit` has returned; a batch takes the highest of its units."""

    POSTED = 0
    """Nobody waits; lost only with the writes after it."""
    ORDINARY = 1
    """Survives a crash of the process."""
    CRITICAL = 2
    """Survives a loss of power."""


class NewEvent(NamedTuple):
    """An entry for the log; its number is given at commit.

    `data` is JSON text and holds nobody's words: those are in the content it points at.
    """

    at: int
    kind: str
    session_key: str = ""
    agent_id: str = ""
    turn_id: str = ""
    data: str = "{}"
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """Writes that hold together or not at all.

    Safe to submit again: guards turn the second time into a refusal or into nothing.
    """

    ops: tuple[Op, ...] = ()
    events: tuple[NewEvent, ...] = ()
    durability: Durability = Durability.ORDINARY


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a committed unit got back.

    `rows` of the operations that return some, by their index; `touched`: how many rows each
    operation changed.
    """

    rows: dict[int, tuple[tuple[Any, ...], ...]] = field(default_factory=dict)
    touched: list[int] = field(default_factory=list)

    def value(self, index: int) -> Any:
        """First column of the first row that operation `index` returned."""
        return self.rows[index][0][0]


@dataclass(frozen=True, slots=True)
class Committed:
    """Events that have just become durable, in order; `prev` is the number before the first."""

    prev: int
    events: tuple[EventRow, ...]


Listener = Callable[[Committed], None]


class Store(Protocol):
    """Where everything durable is kept."""

    async def commit(self, unit: Unit) -> Receipt:
        """Apply a unit; returns when it holds with the durability asked for.

        Raises the error of the first guard that refused (`catalog.GUARDS` says which), for a value
        that breaks a rule of the schema `InvalidInput`, for a reference to what is not there
        `Conflict`, or `StoreUnavailable` when nothing was written. Cancelling the await does not
        cancel the unit: it holds or not, as the store says.
        """
        ...

    def post(self, unit: Unit) -> None:
        """Apply a unit some time before any unit committed later; nobody learns of a refusal."""
        ...

    async def read(self, query: Query[Row]) -> list[Row]:
        """Rows as of now: everything whose `commit` has returned is seen."""
        ...

    def listen(self, listener: Listener) -> None:
        """Call `listener` on the loop after each batch that held events, in commit order."""
        ...

    async def close(self) -> None:
        """Finish what was submitted, then let go of the files."""
        ...


class Loss(NamedTuple):
    """What has become of a store's files, as a sentence without its end.

    `final`: their folder has gone with them, so nothing can be saved and none of it comes back by
    waiting.
    """

    reason: str
    final: bool = False


Meter = Callable[[int, float], None]
"""Told of each batch: how many units it had, and the seconds from handing in the first of them."""


@runtime_checkable
class Measured(Protocol):
    """A store that says how its writing goes."""

    @property
    def pending(self) -> int:
        """Units handed in that do not hold yet."""
        ...

    @property
    def refuses(self) -> bool:
        """Whether the last batch could not be written: a full disk, a server that is away."""
        ...

    @property
    def stuck_s(self) -> float:
        """Seconds since the last batch ended while units wait, as before a disk that hangs."""
        ...

    @property
    def lost(self) -> Loss | None:
        """What has become of the files it writes, looked up now; None while they are in place."""
        ...

    def measure(self, meter: Meter) -> None:
        """Call `meter` on the loop after each batch, held or refused; a later one takes over."""
        ...
