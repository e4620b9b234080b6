"""One subscription: the log from a number on, as far as it is for the client's eyes.

Whether an entry is for the client is decided by the client's principal at that moment, so narrowing
a connection narrows its streams. Numbers of hidden entries are not secret: `events.caught_up` moves
the client past them, soon after it has caught up and then now and again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, assert_never, cast

import structlog

from gateway.core.errors import StoreUnavailable
from gateway.core.retrying import until_answered
from gateway.events.log import CaughtUp, Entry, Event, Filter, Gap, Notification
from gateway.events.previews import Preview
from gateway.identity.principal import Scope
from gateway.rpc.call import Client
from gateway.rpc.entries import Entries
from gateway.running import Gateway
from gateway.wire.methods.events import EventFilter

CAUGHT_UP_S = 5.0
"""How often a live client is told of progress without an entry for it: what it repeats at most
after a reconnect is that much."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asked for. `plain` names notifications after the event itself."""

    after_seq: int
    wanted: Filter
    previews: bool = False
    plain: bool = False


class Stream:
    """The source of one subscription's notifications."""

    def __init__(self, gateway: Gateway, entries: Entries, client: Client, wish: Wish) -> None:
        self._gateway = gateway
        self._entries = entries
        self._connection = client.connection
        self._wish = wish
        self._cursor = self._told = wish.after_seq
        self._live = False
        self._told_at = gateway.clock.monotonic()

    async def pump(self, id: str) -> None:
        """Send until cancelled."""
        stop = self._listen(id)
        try:
            if self._cursor >= self._gateway.log.head:
                await self._caught_up(id)
            await until_answered(lambda: self._follow(id), self._gateway.clock, _put_off)
        finally:
            stop()

    async def _follow(self, id: str) -> None:
        items = self._gateway.log.subscribe(self._cursor, self._wish.wanted)
        async with aclosing(cast("AsyncGenerator[Notification, None]", items)):
            async for item in items:
                await self._handle(id, item)

    async def _handle(self, id: str, item: Notification) -> None:
        match item:
            case Event(seq, _, row):
                if await self._sees(row):
                    await self._tell(id, seq, row)
            case Gap(seq):
                missing = seq - self._cursor
                told = {"seq": seq, "prev_seq": self._told, "gap": missing}
                await self._connection.notify("events.gap", {"subscription": id, **told})
                self._advance(seq)
            case CaughtUp(seq):
                pass
            case _:
                assert_never(item)
        self._cursor = seq
        if self._is_time():
            await self._caught_up(id)

    async def _sees(self, row: Entry) -> bool:
        principal = self._connection.principal
        return principal.has(Scope.READ) and await self._gateway.conversations.ownership.sees(
            principal, row.session_key, row.turn_id
        )

    async def _tell(self, id: str, seq: int, row: Entry) -> None:
        entry = self._entries.encoded(row)
        params: dict[str, Any] = {"seq": seq, "prev_seq": self._told, "result": entry.json}
        if self._wish.plain:
            await self._connection.notify(row.kind, params)
        else:
            await self._connection.notify("events.event", {"subscription": id, **params})
        self._advance(seq)
        self._gateway.fetched.mark_sent(entry.delivery_key)

    async def _caught_up(self, id: str) -> None:
        if not self._wish.plain:
            params = {"subscription": id, "seq": self._cursor, "prev_seq": self._told}
            await self._connection.notify("events.caught_up", params)
        self._live = True
        self._advance(self._cursor)

    def _advance(self, seq: int) -> None:
        self._told = seq
        self._told_at = self._gateway.clock.monotonic()

    def _is_time(self) -> bool:
        """Whether to tell where the client stands: when it is live, then for hidden entries."""
        if not self._live:
            return self._cursor >= self._gateway.log.head
        elapsed = self._gateway.clock.monotonic() - self._told_at
        return self._told < self._cursor and elapsed >= CAUGHT_UP_S

    def _listen(self, id: str) -> Callable[[], None]:
        if not self._wish.previews:
            return lambda: None

        def show(preview: Preview) -> None:
            wanted, principal = self._wish.wanted, self._connection.principal
            if (
                wanted.session_key in ("", preview.session_key)
                and wanted.turn_id in ("", preview.turn_id)
                and (not wanted.agent_id or preview.session_key.split(":")[1] == wanted.agent_id)
                and principal.has(Scope.READ)
                and self._gateway.conversations.ownership.known_to_see(
                    principal, preview.session_key, preview.turn_id
                )
            ):
                key = f"{id}:{preview.turn_id}:{preview.step}:{preview.attempt}"
                if preview.place is not None:
                    told = restart_of(id, preview) | {"place": preview.place}
                    self._connection.preview(f"{key}:queued", "step.queued", told)
                elif preview.restarted:
                    told = restart_of(id, preview)
                    self._connection.preview(f"{key}:restarted", "step.restarted", told)
                else:
                    self._connection.preview(key, "turns.delta", delta_of(id, preview))

        return self._gateway.previews.listen(show)


def _put_off(error: StoreUnavailable) -> None:
    log.warning("stream.store_unavailable", reason=str(error))


def filter_of(wanted: EventFilter) -> Filter:
    """A client's filter as the log takes it."""
    return Filter(
        wanted.session_key or "", wanted.agent_id or "", wanted.turn_id or "", tuple(wanted.kinds)
    )


def restart_of(id: str, preview: Preview) -> dict[str, Any]:
    """A step that begins anew as JSON: pieces with a lower `attempt` are void."""
    return {
        "subscription": id,
        "turn_id": preview.turn_id,
        "session_key": preview.session_key,
        "step": preview.step,
        "attempt": preview.attempt,
    }


def delta_of(id: str, preview: Preview) -> dict[str, Any]:
    """A piece of an answer as JSON."""
    return restart_of(id, preview) | {"offset": preview.offset, "text": preview.text}
