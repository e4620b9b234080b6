"""Following the log: replay from a number, then live, without gap or overlap.

A subscription is a cursor, not a queue: it reads what follows its cursor from a short memory of
recent entries, or from the store when it is further behind. A slow reader therefore costs no
memory and misses nothing; what retention took away is said as a `Gap`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from gateway.store.base.events import EventRow, GetLogBounds, ReadEvents
from gateway.store.base.store import Committed, Store

RECENT = 1024
"""Entries kept in memory: a live reader stays within them unless it stalls for seconds."""
RECENT_CHARS = 8 << 20
"""Words kept with them: a thousand large attachments must not become a gigabyte."""
PAGE = 500
"""Entries read from the store at once."""
PORTION = 100
"""The same for a scan: the page that a client asks for where it names no size."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries a subscriber wants; empty fields match all, set ones must all match.

    `kinds` are exact names or families (`turn.`).
    """

    session_key: str = ""
    agent_id: str = ""
    turn_id: str = ""
    kinds: tuple[str, ...] = ()

    def matches(self, event: EventRow) -> bool:
        """Whether the subscriber wants this entry."""
        return (
            self.session_key in ("", event.session_key)
            and self.agent_id in ("", event.agent_id)
            and self.turn_id in ("", event.turn_id)
            and (
                not self.kinds
                or any(
                    event.kind == kind or (kind.endswith(".") and event.kind.startswith(kind))
                    for kind in self.kinds
                )
            )
        )


EVERYTHING = Filter()


@dataclass(frozen=True, slots=True)
class Event:
    """An entry the subscriber wanted. `prev_seq` is the number it was told of before this one."""

    seq: int
    prev_seq: int
    row: EventRow


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """Nothing wanted up to `seq`: resume from here."""

    seq: int
    prev_seq: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries after `prev_seq` up to `seq` are gone by retention."""

    seq: int
    prev_seq: int


Notification = Event | CaughtUp | Gap

Entry = EventRow
"""An entry of the log as its readers get it."""


class EventLog:
    """The log as subscribers see it; one per process."""

    def __init__(
        self, store: Store, *, recent: int = RECENT, recent_chars: int = RECENT_CHARS
    ) -> None:
        self._store = store
        self._most = recent
        self._most_chars = recent_chars
        self._recent: deque[EventRow] = deque()
        self._chars = 0
        self._head = 0
        self._grown = asyncio.Event()
        self.pass_on: Callable[[], None] | None = None
        """Called when words are forgotten here: other processes remember them too."""

    async def open(self) -> None:
        """Listen, and learn where the log stands; call once."""
        self._store.listen(self._on_commit)
        (bounds,) = await self._store.read(GetLogBounds())
        self._advance(bounds.head)

    @property
    def head(self) -> int:
        """Number of the newest entry."""
        return self._head

    def subscribe(self, after_seq: int, wanted: Filter = EVERYTHING) -> AsyncIterator[Notification]:
        """Everything wanted after a number, for ever; closing the iterator ends it.

        A number beyond the newest entry means the newest of now. `CaughtUp` comes when the end is
        reached and something unwanted was passed over. Raises `StoreUnavailable` when entries that
        are no longer in memory cannot be read; subscribing again after the last number goes on.
        """
        return self._follow(max(0, min(after_seq, self._head)), wanted)

    def forget(self) -> None:
        """Read from the store again: words that are remembered here were blanked there."""
        self.drop_remembered()
        if self.pass_on is not None:
            self.pass_on()

    def drop_remembered(self) -> None:
        """The same for this process alone."""
        self._recent.clear()
        self._chars = 0

    async def floor(self) -> int:
        """The number up to which retention has taken the entries away."""
        (bounds,) = await self._store.read(GetLogBounds())
        return bounds.floor

    async def scan(self, after_seq: int, most: int) -> AsyncGenerator[EventRow, None]:
        """At most so many entries after a number, read in portions as they are asked for."""
        while most > 0 and (rows := await self._after(after_seq, min(most, PORTION))):
            for row in rows:
                yield row
            after_seq, most = rows[-1].seq, most - len(rows)

    async def _follow(self, cursor: int, wanted: Filter) -> AsyncIterator[Notification]:
        told = cursor
        while True:
            rows = await self._after(cursor)
            if rows and rows[0].seq > cursor + 1:
                cursor = rows[0].seq - 1
                yield Gap(cursor, told)
                told = cursor
            for row in rows:
                cursor = row.seq
                if wanted.matches(row):
                    yield Event(cursor, told, row)
                    told = cursor
            if rows:
                continue
            if cursor < self._head:  # all of it went by retention
                cursor = self._head
                yield Gap(cursor, told)
                told = cursor
            elif told < cursor:
                yield CaughtUp(cursor, told)
                told = cursor
            else:
                await self._grow(cursor)

    async def _after(self, cursor: int, most: int = PAGE) -> Sequence[EventRow]:
        if cursor >= self._head:
            return ()
        if self._recent and self._recent[0].seq <= cursor + 1:
            skip = cursor + 1 - self._recent[0].seq
            return list(islice(self._recent, skip, skip + most))
        return await self._store.read(ReadEvents(cursor, most))

    async def _grow(self, cursor: int) -> None:
        while self._head <= cursor:
            self._grown.clear()
            await self._grown.wait()

    def _on_commit(self, committed: Committed) -> None:
        if committed.prev != self._head:
            self.drop_remembered()  # the first ones heard of; what is remembered has no holes
        for row in committed.events:
            self._recent.append(row)
            self._chars += len(row.body or "")
        while len(self._recent) > self._most or self._chars > self._most_chars:
            self._chars -= len(self._recent.popleft().body or "")
        self._advance(committed.events[-1].seq)

    def _advance(self, head: int) -> None:
        self._head = max(self._head, head)
        self._grown.set()
