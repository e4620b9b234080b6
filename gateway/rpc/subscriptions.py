"""The streams one connection asked for: bounded, started once their id is known, ended with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.core.errors import Busy
from gateway.core.ids import Ids
from gateway.core.tasks import Ending, TaskOwner

MAX_STREAMS = 64
"""Maximum number of streams of one connection: a console with a view per conversation has fewer."""

MAX_OF_CREDENTIAL = 256
"""Most streams of one credential: each reads the log by itself; a fleet of consoles has fewer."""

Pump = Callable[[str], Coroutine[Any, Any, None]]


class ConnectionSubscriptions:
    """`gateway.rpc.call.Subscriptions` over a connection's tasks."""

    def __init__(
        self,
        ids: Ids,
        owner: TaskOwner,
        credential: Callable[[], str] = lambda: "",
        counts: Counter[str] | None = None,
    ) -> None:
        """`counts` holds the streams of every credential, those of other connections too."""
        self._credential = credential
        self._counts = Counter() if counts is None else counts
        self._counted: dict[str, str] = {}
        self._ids = ids
        self._owner = owner
        self._pumps: dict[str, Pump] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, pump: Pump, *, id: str = "") -> str:
        id = id or self._ids.new("s")
        self.end(id)
        if len(self._pumps) >= MAX_STREAMS:
            raise Busy(
                f"a connection has at most {MAX_STREAMS} subscriptions; end one first, or widen a "
                "filter"
            )
        credential = self._credential()
        if self._counts[credential] >= MAX_OF_CREDENTIAL:
            raise Busy(
                f"a credential has at most {MAX_OF_CREDENTIAL} subscriptions over all of its "
                "connections; end one first, or widen a filter"
            )
        self._counts[credential] += 1
        self._counted[id] = credential
        self._pumps[id] = pump
        return id

    def start(self, id: str) -> None:
        pump = self._pumps.get(id)
        if pump is not None and id not in self._tasks:
            self._tasks[id] = self._owner.start(id, pump(id), ending=Ending.CANCELLABLE)

    def end(self, id: str) -> bool:
        task = self._tasks.pop(id, None)
        if task is not None:
            task.cancel()
        self._uncount(id)
        return self._pumps.pop(id, None) is not None

    def close(self) -> None:
        """The connection is gone: its streams count no more. Their owner ends them."""
        for id in tuple(self._counted):
            self._uncount(id)

    def _uncount(self, id: str) -> None:
        credential = self._counted.pop(id, None)
        if credential is not None:
            self._counts[credential] -= 1
            if not self._counts[credential]:
                del self._counts[credential]
