"""Transcripts in memory: loaded at the first turn, extended at each boundary, let go when idle.

The store is the truth; this is a cache with a bound in number, in size and in time. A session that
is being used is never let go.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

import orjson
import structlog

from agents.base import messages
from agents.base.messages import (
    AssistantMessage,
    Message,
    Messages,
    SummaryMessage,
    ToolMessage,
    UserMessage,
)
from gateway.core import parts
from gateway.core.clock import Clock
from gateway.core.errors import InvalidInput
from gateway.store.base.conversations import EntryRow, LoadTranscript
from gateway.store.base.store import Store

log = structlog.get_logger(__name__)

IDLE_S = 15 * 60.0
"""How long an idle conversation stays in memory."""
MAX_LIVE = 1000
"""Maximum number of conversations in memory; past it the least recently used idle ones leave."""
MAX_CHARS = 64 << 20
"""Most characters in memory, likewise: a thousand long conversations, or a few that somebody fills
with the largest messages there are."""


class Session:
    """One conversation: its messages in order. `revision` is the next free position.

    `chars` is how much was said, `counted` how much of that the cache knows of.
    """

    __slots__ = ("chars", "counted", "history", "key", "revision", "used_at", "users")

    def __init__(self, key: str, history: list[Message], revision: int) -> None:
        self.key = key
        self.history = history
        self.revision = revision
        self.chars = sum(map(_chars, history))
        self.counted = 0
        self.used_at = 0.0
        self.users = 0

    def extend(self, new: Messages) -> None:
        """Take in what a boundary has just made durable."""
        self.history.extend(new)
        self.revision += len(new)
        self.chars += sum(map(_chars, new))


class LiveSessions:
    """The conversations in memory."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        idle_s: float = IDLE_S,
        max_live: int = MAX_LIVE,
        max_chars: int = MAX_CHARS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._idle_s = idle_s
        self._max_live = max_live
        self._max_chars = max_chars
        self._chars = 0
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    @asynccontextmanager
    async def using(self, key: str) -> AsyncIterator[Session]:
        """A session that stays in memory for the length of the block.

        Who uses it at the same time gets the same one, unless it was forgotten in between. Raises
        `StoreUnavailable` when it has to be read and cannot be; then nothing stays.
        """
        session = self._sessions.get(key)
        if session is None:
            rows = await self._store.read(LoadTranscript(key))
            session = self._sessions.setdefault(key, _load(key, rows))
        session.users += 1
        try:
            yield session
        finally:
            session.users -= 1
            session.used_at = self._clock.monotonic()
            if self._sessions.get(key) is session:
                self._sessions.move_to_end(key)
                self._chars += session.chars - session.counted
                session.counted = session.chars
            self._let_go()

    def forget(self, key: str) -> None:
        """Read this conversation from the store the next time; who uses it now keeps the old."""
        session = self._sessions.pop(key, None)
        if session is not None:
            self._chars -= session.counted

    def sweep(self) -> int:
        """Let go of what has been idle too long; returns how many."""
        horizon = self._clock.monotonic() - self._idle_s
        gone = [
            key
            for key, session in self._sessions.items()
            if not session.users and session.used_at <= horizon
        ]
        for key in gone:
            self.forget(key)
        return len(gone)

    def _let_go(self) -> None:
        while self._is_full():
            idle = (key for key, session in self._sessions.items() if not session.users)
            key = next(idle, None)
            if key is None:
                return
            self.forget(key)

    def _is_full(self) -> bool:
        return len(self._sessions) > self._max_live or self._chars > self._max_chars


def _chars(message: Message) -> int:
    """How much was said, near enough."""
    match message:
        case UserMessage(said):
            return sum(len(value) for part in parts.to_json(said) for value in part.values())
        case AssistantMessage(text, calls, _, opaque):
            besides = (opaque, *(call.opaque for call in calls))
            kept = sum(len(one.members) for one in besides if one is not None)
            return len(text) + kept + sum(len(call.arguments) for call in calls)
        case ToolMessage() | SummaryMessage():
            return len(message.text)
        case _:
            assert_never(message)


def _load(key: str, rows: list[EntryRow]) -> Session:
    """A blanked entry keeps its position and says nothing, and so does one nobody can read."""
    history: list[Message] = []
    for row in rows:
        if row.body is None:
            continue
        try:
            history.append(messages.from_json(orjson.loads(row.body)))
        except (ValueError, InvalidInput) as error:
            log.error("session.entry_unreadable", position=row.position, reason=str(error))
    return Session(key, history, rows[-1].position + 1 if rows else 0)
