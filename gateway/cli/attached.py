"""A terminal on a gateway that runs elsewhere: its lines go in as calls, answers come as events."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

from channels.base.channel import Channel
from channels.base.messages import Accepted, Inbound, Outbound, TurnEnd
from gateway.client import Client
from gateway.core import parts
from gateway.core.ids import AgentId, DeliveryId, TurnId
from gateway.core.keys import Destination, parse_session_key
from gateway.events.kinds import Kind
from gateway.turns.waiting import STATES
from gateway.wire.methods.turns import OPEN_STATES

EARLY = 256
"""Ends of turns nobody here has started so far: the end of one may come before its acknowledgement.
The oldest is forgotten; most of them are other people's."""

Tell = Callable[[TurnEnd], Awaitable[None]]
"""Hears how each turn that was said here ended."""

WAITING = 256
"""Ends that are not shown yet; then no more events are taken, and the client resumes by number."""


class Attached:
    """`channels.base.channel.Intake` of a gateway in another process, and what it answers."""

    def __init__(self, client: Client, channel: Channel, tell: Tell) -> None:
        self._client = client
        self._channel = channel
        self._tell = tell
        self._merged: dict[TurnId, list[TurnId]] = {}
        self._open: dict[TurnId, Destination] = {}
        self._early: OrderedDict[TurnId, dict[str, Any]] = OrderedDict()
        self._known: asyncio.Queue[tuple[TurnId, Destination, dict[str, Any]]] = asyncio.Queue(
            WAITING
        )
        self._changed = asyncio.Event()

    async def accept(self, message: Inbound) -> Accepted:
        """Start a turn; sent again by key over a reconnect, so it is accepted once."""
        route = message.route
        # The gateway owns no terminal: its own channel carries the conversation.
        where = {
            "peer_id": route.peer,
            "group_id": route.group,
            "thread_id": route.thread,
            "guild_id": route.guild,
            "agent_id": message.agent or "",
        }
        key = message.idempotency_key or (message.external_id and f"chat:{message.external_id}")
        started = await self._client.start(
            parts.to_json(message.parts),
            idempotency_key=key,
            **{name: value for name, value in where.items() if value},
        )
        turn_id = TurnId(started.turn_id)
        destination = Destination("websocket", "default", route.group or route.peer, route.thread)
        self._open[turn_id] = destination
        if turn_id in self._early:
            await self._known.put((turn_id, destination, self._early.pop(turn_id)))
        elif started.duplicate:
            await self._look_up(turn_id, destination)
        return Accepted(
            turn_id,
            parse_session_key(started.session_key),
            AgentId(started.agent_id),
            started.position,
            started.duplicate,
        )

    async def cancel(self, turn_id: TurnId) -> None:
        """Ask a turn to stop."""
        await self._client.call("turns.cancel", {"turn_id": turn_id})

    async def listen(self) -> None:
        """Show answers until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._show(), name="chat.show")
            kinds = [*STATES, Kind.INPUT_MERGED]
            async with aclosing(
                self._client.events(after_seq=self._client.seq, kinds=kinds)
            ) as items:
                async for item in items:
                    if "result" in item:
                        await self._heard(item["result"])

    async def idle(self) -> None:
        """Wait until everything that was said here has its answer."""
        while self._open:
            self._changed.clear()
            await self._changed.wait()

    async def _heard(self, event: dict[str, Any]) -> None:
        turn_id = TurnId(event["turn_id"])
        destination = self._open.get(turn_id)
        if destination is not None:
            await self._known.put((turn_id, destination, event))
            return
        self._early[turn_id] = event
        if len(self._early) > EARLY:
            self._early.popitem(last=False)

    async def _show(self) -> None:
        while True:
            await self._end(*await self._known.get())
            self._changed.set()

    async def _end(self, turn_id: TurnId, destination: Destination, event: dict[str, Any]) -> None:
        if event["kind"] == Kind.INPUT_MERGED:
            # Another turn answers it, which another client may have started.
            into = TurnId(event["data"]["into"])
            self._open.setdefault(into, destination)
            self._merged.setdefault(into, []).append(turn_id)
            if into in self._early:
                await self._end(into, destination, self._early.pop(into))
        else:
            await self._send(turn_id, destination, event["text"], event["data"])
            state, kind = STATES[event["kind"]], event["data"].get("kind", "")
            for one in (turn_id, *self._merged.pop(turn_id, ())):
                await self._tell(TurnEnd(one, state, kind, turn_id))
        self._open.pop(turn_id, None)

    async def _look_up(self, turn_id: TurnId, destination: Destination) -> None:
        """It was said before: an answer that has been given is shown again under its key."""
        answer = await self._client.wait(turn_id, wait_ms=0)
        if answer.state in OPEN_STATES:
            if answer.answered_by != turn_id:
                self._open.setdefault(TurnId(answer.answered_by), destination)
            return
        event = {
            "kind": next(kind for kind, state in STATES.items() if state == answer.state),
            "text": answer.reply,
            "data": {"delivery_key": answer.delivery_key, "kind": answer.kind},
        }
        await self._known.put((turn_id, destination, event))

    async def _send(
        self, turn_id: TurnId, destination: Destination, text: str | None, data: dict[str, Any]
    ) -> None:
        key = data.get("delivery_key", "")
        if text is None or not key:
            return
        await self._channel.send(
            Outbound(DeliveryId(key), key, destination, text, turn_id, attempt=1)
        )
