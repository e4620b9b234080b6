"""Hears what other processes have committed: a notification is the hint, a poll the certainty.

Notifications carry nothing: what happened is in the log. One that is lost costs one poll.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog

from gateway.core.clock import Clock
from gateway.core.errors import TurngateError
from gateway.store.postgres.connecting import Dial

POLL_S = 1.0
"""How often the log is looked at without a hint."""
COALESCE_S = 0.01
"""How long commits gather before others are told of them together."""

log = structlog.get_logger(__name__)


class Follower:
    """Owns the connection that listens and notifies; `run` and `tell` are its tasks."""

    def __init__(
        self, dial: Dial, clock: Clock, channel: str, catch_up: Callable[[], Awaitable[None]]
    ) -> None:
        self._dial = dial
        self._clock = clock
        self._channel = channel
        self._catch_up = catch_up
        self._connection: Any = None
        self._hinted = asyncio.Event()
        self._news = asyncio.Event()

    def committed(self) -> None:
        """Others should look."""
        self._news.set()

    async def run(self) -> None:
        """Look at the log at each hint, and now and then without one, for ever."""
        try:
            while True:
                await self._listen()
                with suppress(TimeoutError):
                    async with self._clock.timeout(POLL_S):
                        await self._hinted.wait()
                self._hinted.clear()
                try:
                    await self._catch_up()
                except TurngateError as error:
                    log.warning("store.follow_put_off", reason=str(error))
                    await self._clock.sleep(POLL_S)
        finally:
            if self._connection is not None:
                self._connection.terminate()

    async def tell(self) -> None:
        """Pass news on, at most once every `COALESCE_S`, for ever."""
        while True:
            await self._news.wait()
            await self._clock.sleep(COALESCE_S)
            self._news.clear()
            if self._connection is not None and not self._connection.is_closed():
                try:
                    await self._connection.execute("SELECT pg_notify($1, '')", self._channel)
                except Exception as error:  # noqa: BLE001  # a hint: others poll
                    log.info("store.hint_lost", reason=type(error).__name__)

    async def _listen(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        try:
            self._connection = await self._dial.connect()
            await self._connection.add_listener(self._channel, self._hear)
        except Exception as error:  # noqa: BLE001  # polling goes on without it
            log.info("store.not_listening", reason=type(error).__name__)

    def _hear(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        self._hinted.set()
