"""Following the log: live, in pages, and under the names rpc-websockets uses."""

from __future__ import annotations

from contextlib import aclosing

from gateway.core.errors import Busy
from gateway.core.suggestions import did_you_mean
from gateway.events.kinds import Kind
from gateway.events.log import Filter
from gateway.identity.principal import Scope
from gateway.rpc.call import Call
from gateway.rpc.cursors import Room
from gateway.rpc.entries import entry_of
from gateway.rpc.method import Method
from gateway.rpc.stream import Stream, Wish, filter_of
from gateway.wire.methods import events as wire
from gateway.wire.methods.connection import EventAnswers, EventNames

SCANNED = 500
"""Entries of the log looked at for one page, however few of them are wanted."""

NAMES = frozenset(kind.value for kind in Kind)
FAMILIES = frozenset(f"{name.split('.')[0]}." for name in NAMES)


async def subscribe(call: Call, params: wire.Subscribe) -> wire.Subscribed:
    """Follow what happens, from any number on."""
    head = call.gateway.log.head
    after = head if params.after_seq is None else min(params.after_seq, head)
    wish = Wish(after, filter_of(params.filter), params.previews)
    return wire.Subscribed(subscription=_open(call, wish), seq=after)


async def unsubscribe(call: Call, params: wire.Unsubscribe) -> wire.Unsubscribed:
    """End a subscription."""
    return wire.Unsubscribed(ended=call.lasting.subscriptions.end(params.subscription))


async def list_(call: Call, params: wire.ListEvents) -> wire.EventPage:
    """A page of the log, oldest first."""
    log, ownership = call.gateway.log, call.gateway.conversations.ownership
    wanted = filter_of(params.filter)
    after = min(params.after_seq, log.head)
    floor = await log.floor()
    found: list[wire.EventEntry] = []
    room = Room(call.shared.max_result_bytes)
    cursor = max(after, floor)
    async with aclosing(log.scan(cursor, SCANNED)) as rows:
        async for row in rows:
            if len(found) == params.limit:
                break
            if wanted.matches(row) and await ownership.sees(
                call.principal, row.session_key, row.turn_id
            ):
                if not room.takes(row.body):
                    break
                found.append(wire.EventEntry.model_validate(entry_of(row)))
            cursor = row.seq
    return wire.EventPage(
        events=found,
        next_after_seq=cursor,
        head=log.head,
        gap=max(0, floor - after),
    )


async def on(call: Call, params: EventNames) -> EventAnswers:
    """Have events as notifications of their own names, as rpc-websockets expects them."""
    answers: dict[str, str] = {}
    for name in params.names:
        if name in NAMES | FAMILIES:
            wish = Wish(call.gateway.log.head, Filter(kinds=(name,)), plain=True)
            _open(call, wish, id=f"on:{name}")
            answers[name] = "ok"
        else:
            answers[name] = f"there is no such event; {did_you_mean(name, NAMES | FAMILIES)}"
    return EventAnswers(answers)


async def off(call: Call, params: EventNames) -> EventAnswers:
    """End what `rpc.on` began."""
    ended = {name: call.lasting.subscriptions.end(f"on:{name}") for name in params.names}
    return EventAnswers({name: "ok" if was else "not subscribed" for name, was in ended.items()})


def _open(call: Call, wish: Wish, *, id: str = "") -> str:
    client = call.lasting
    stream = Stream(call.gateway, call.shared.entries, client, wish)
    opened = client.subscriptions.add(stream.pump, id=id)
    # The client must know the id before the first notification names it.
    call.written.append(lambda: client.subscriptions.start(opened))
    return opened


SUBSCRIBE = Method("events.subscribe", Scope.READ, subscribe, lasting=True, errors=(Busy,))
UNSUBSCRIBE = Method("events.unsubscribe", Scope.READ, unsubscribe, always=True, lasting=True)
LIST = Method("events.list", Scope.READ, list_, whole=True)
ON = Method("rpc.on", Scope.READ, on, lasting=True, errors=(Busy,))
OFF = Method("rpc.off", Scope.READ, off, always=True, lasting=True)
