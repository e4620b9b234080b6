"""What stores that group their writes share: units on their way, and who waits for them.

A store hands each unit to its writer and is called back with a batch that holds or was refused. How
a batch is written is the writer's; nothing here knows a database.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from gateway.core.errors import StoreUnavailable, TurngateError
from gateway.store.base.query import Query, Row
from gateway.store.base.store import Committed, Listener, Loss, Meter, Receipt, Unit

PENDING_UNITS = 10_000
"""Maximum units waiting for the writer; past it `commit` waits, which slows their makers down."""
PENDING_POSTED = 2 * PENDING_UNITS
"""Past it `post` drops and counts: only makers that never await a commit get this far."""


@dataclass(slots=True, eq=False)
class Submitted:
    """A unit on its way to the writer and back; `future` is None for a posted one.

    `since` is the time of the loop at which it was handed in.
    """

    unit: Unit
    future: asyncio.Future[Receipt] | None
    since: float = 0.0
    receipt: Receipt = field(default_factory=Receipt)
    error: TurngateError | None = None


class GroupedStore:
    """`commit`, `post` and `listen` of `gateway.store.base.store.Store`, over some writer."""

    def __init__(self) -> None:
        self._listeners: list[Listener] = []
        self._pending = 0
        self._room = asyncio.Event()
        self._closed = False
        self._meter: Meter | None = None
        self._refuses = False
        self._moved_at = 0.0
        self.posted_refused = 0
        """Posted units that were dropped, refused by a guard, or lost with their batch."""

    @abstractmethod
    def _submit(self, item: Submitted) -> None:
        """Give a unit to the writer; order of submission is order of execution."""

    async def commit(self, unit: Unit) -> Receipt:
        while self._pending >= PENDING_UNITS:
            self._room.clear()
            await self._room.wait()
        if self._closed:
            raise StoreUnavailable("the store is closed; nothing was written")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Receipt] = loop.create_future()
        self._hand_in(unit, future, loop.time())
        return await future

    def post(self, unit: Unit) -> None:
        if self._closed or self._pending >= PENDING_POSTED:
            self.posted_refused += 1
            return
        self._hand_in(unit, None, asyncio.get_running_loop().time())

    def _hand_in(self, unit: Unit, future: asyncio.Future[Receipt] | None, now: float) -> None:
        if not self._pending:
            self._moved_at = now
        self._pending += 1
        self._submit(Submitted(unit, future, now))

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    @property
    def pending(self) -> int:
        return self._pending

    @property
    def refuses(self) -> bool:
        return self._refuses

    @property
    def stuck_s(self) -> float:
        return asyncio.get_running_loop().time() - self._moved_at if self._pending else 0.0

    @property
    def lost(self) -> Loss | None:
        return None

    def measure(self, meter: Meter) -> None:
        self._meter = meter

    def _settle(self, batch: Sequence[Submitted], committed: Committed | None) -> None:
        """On the loop: listeners first, so that who awaited a commit finds its events heard."""
        self._pending -= len(batch)
        self._moved_at = asyncio.get_running_loop().time()
        self._room.set()
        if self._meter is not None and batch:
            self._meter(len(batch), self._moved_at - batch[0].since)
        if batch:
            self._refuses = any(isinstance(item.error, StoreUnavailable) for item in batch)
        if committed is not None:
            self._tell(committed)
        for item in batch:
            if item.future is None:
                self.posted_refused += item.error is not None
            elif not item.future.done():
                if item.error is not None:
                    item.future.set_exception(item.error)
                else:
                    item.future.set_result(item.receipt)

    def _tell(self, committed: Committed) -> None:
        for listener in self._listeners:
            try:
                listener(committed)
            # A boundary: what one listener does wrong must not keep a committer waiting for ever.
            except Exception as error:  # noqa: BLE001
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"the store's listener {listener!r} failed", "exception": error}
                )


def row_type(query: type[Query[Row]]) -> type[Row]:
    """`Query[EventRow]` says which tuple a statement's rows become."""
    bases = cast("tuple[Any, ...]", query.__orig_bases__)  # type: ignore[attr-defined]  # typing's own record of the parameter
    return cast("type[Row]", get_args(bases[0])[0])
