"""Hears what other processes have committed: a notification is the hint, a poll the certainty.

What happened is in the log; a lost notification costs one poll. It also carries words between
processes, which may be lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
import structlog

from gateway.core.clock import Clock
from gateway.core.errors import TurngateError
from gateway.store.base.shared import Heard
from gateway.store.postgres.connecting import Dial

POLL_S = 1.0
"""How often the log is looked at without a hint."""
COALESCE_S = 0.01
"""How long commits and words gather before others are told of them together."""
MAX_PAYLOAD = 7500
"""Bytes one notification may carry; PostgreSQL takes 8000."""
MAX_WORDS = 1000
"""Words that wait to be said; past it the oldest are lost."""

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
        self._words: deque[tuple[str, str]] = deque(maxlen=MAX_WORDS)
        self._heard: dict[str, list[Heard]] = {}

    def committed(self) -> None:
        """Others should look."""
        self._news.set()

    def say(self, topic: str, text: str) -> None:
        """Pass a word on with the next notification."""
        self._words.append((topic, text))
        self._news.set()

    def hear(self, topic: str, heard: Heard) -> None:
        """Call with each word of a topic."""
        self._heard.setdefault(topic, []).append(heard)

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
            await self.flush()

    async def flush(self) -> None:
        """Pass on now what has gathered."""
        while self._news.is_set():
            payload = self._payload()
            if not self._words:
                self._news.clear()
            if self._connection is None or self._connection.is_closed():
                continue
            try:
                await self._connection.execute("SELECT pg_notify($1, $2)", self._channel, payload)
            except Exception as error:  # noqa: BLE001  # a hint: others poll
                log.info("store.hint_lost", reason=type(error).__name__)

    def _payload(self) -> str:
        """As many words as fit; empty for news alone. One that never fits is left out."""
        pieces: list[str] = []
        size = 2
        while self._words:
            piece = orjson.dumps(self._words[0]).decode()
            length = len(piece.encode()) + 1
            if length + 2 > MAX_PAYLOAD:
                self._words.popleft()
                continue
            if size + length > MAX_PAYLOAD:
                break
            size += length
            pieces.append(piece)
            self._words.popleft()
        return f"[{','.join(pieces)}]" if pieces else ""

    async def _listen(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        try:
            self._connection = await self._dial.connect()
            await self._connection.add_listener(self._channel, self._hear)
        except Exception as error:  # noqa: BLE001  # polling goes on without it
            log.info("store.not_listening", reason=type(error).__name__)

    def _hear(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        if self._connection is not None and pid == self._connection.get_server_pid():
            return  # our own
        self._hinted.set()
        for topic, text in orjson.loads(payload) if payload else ():
            for heard in self._heard.get(topic, ()):
                try:
                    heard(text)
                except Exception:  # a boundary: a word in a spelling of another version
                    log.exception("store.word_not_understood", topic=topic)
