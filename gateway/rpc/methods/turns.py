"""Starting turns, waiting for them, looking at them and stopping them."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from agents.base import messages
from gateway.core.errors import Busy, Conflict, Forbidden, NotFound, UnknownAgent
from gateway.core.ids import TurnId
from gateway.core.parts import Parts
from gateway.identity.principal import Scope
from gateway.rpc import speaking
from gateway.rpc.call import Call
from gateway.rpc.cursors import before, next_cursor
from gateway.rpc.method import Method
from gateway.store.base import inputs as store
from gateway.store.base.query import Query
from gateway.turns.waiting import Ended
from gateway.wire.methods import turns as wire


async def send(call: Call, params: wire.Send) -> wire.Answer:
    """Say something and wait for the answer."""
    started = await start(call, params)
    waited = _Waited(started.turn_id, started.session_key, started.agent_id)
    return await _wait(call, waited, params.wait_ms)


async def start(call: Call, params: wire.StartTurn) -> wire.Started:
    """Say something; answered once it is durable."""
    message = speaking.inbound(call.principal, params)
    # Between the commit and the lane's hearing of it nobody else would start the turn.
    accepted = await call.shared.whole("accept", call.gateway.intake.accept(message))
    return wire.Started(
        turn_id=accepted.turn_id,
        session_key=str(accepted.session),
        agent_id=accepted.agent,
        position=accepted.position,
        duplicate=accepted.duplicate,
    )


async def wait(call: Call, params: wire.WaitTurn) -> wire.Answer:
    """Wait for the end of a turn."""
    row = await call.shared.ownership.turn(call.principal, params.turn_id)
    waited = _Waited(row.turn_id, row.session_key, row.agent_id)
    return await _wait(call, waited, params.wait_ms)


async def get(call: Call, params: wire.OneTurn) -> wire.Turn:
    """A turn with what was said and answered."""
    row = await call.shared.ownership.turn(call.principal, params.turn_id)
    ended = await call.gateway.waiters.so_far(row)
    if ended is not None and ended.delivery_key:
        call.written.append(lambda: call.shared.pulled.written(ended.delivery_key))
    return wire.Turn(
        **summary(row).model_dump(),
        said=speaking.shapes(_said(row.body)),
        reply=ended.text if ended is not None else None,
        delivery_key=ended.delivery_key if ended is not None else "",
        position=call.gateway.lanes.position(row.session_key, row.turn_id),
    )


async def list_(call: Call, params: wire.ListTurns) -> wire.TurnPage:
    """Turns, newest first: of a session, or all the credential may see."""
    below = before(params.cursor)
    query: Query[store.TurnRow]
    if params.session_key is not None:
        await call.shared.ownership.session(call.principal, params.session_key)
        query = store.TurnsOfSession(params.session_key, below, params.limit)
    elif call.principal.has(Scope.OPERATOR):
        query = store.ListTurns(below, params.limit)
    else:
        query = store.TurnsOfPrincipal(call.principal.name, below, params.limit)
    rows = await call.gateway.store.read(query)
    return wire.TurnPage(
        turns=[summary(row) for row in rows],
        next_cursor=next_cursor(rows, params.limit, lambda row: row.ordinal),
    )


async def cancel(call: Call, params: wire.OneTurn) -> wire.Cancelled:
    """Stop a turn: at once while it waits, at its next step once it runs."""
    row = await call.shared.ownership.turn(call.principal, params.turn_id)
    await call.shared.whole("cancel", call.gateway.intake.cancel(TurnId(row.turn_id)))
    return wire.Cancelled(turn_id=row.turn_id)


def summary(row: store.InputRow | store.TurnRow) -> wire.TurnSummary:
    """A turn as lists show it."""
    return wire.TurnSummary.of(row, kind=row.detail)


class _Waited(NamedTuple):
    """The turn somebody waits for."""

    turn_id: str
    session_key: str
    agent_id: str


async def _wait(call: Call, waited: _Waited, wait_ms: int) -> wire.Answer:
    turn_id = TurnId(waited.turn_id)
    ended: Ended | None = None
    state, answering = "", waited.turn_id
    if wait_ms:
        async with call.working.resting():
            ended = await _ended(call, turn_id, wait_ms)
    if ended is None:
        for said in await call.gateway.store.read(store.GetInput(turn_id)):
            row = await call.gateway.waiters.leading(said)
            state, answering = row.state, row.turn_id
            ended = await call.gateway.waiters.so_far(row)
    if ended is None:
        position = call.gateway.lanes.position(waited.session_key, waited.turn_id)
        return _answer(waited, state, answering, position=position)
    key = ended.delivery_key
    call.written.append(lambda: call.shared.pulled.written(key))
    return _answer(waited, ended.state, ended.turn_id, ended)


async def _ended(call: Call, turn_id: TurnId, wait_ms: int) -> Ended | None:
    """How the turn ended; None when it takes longer: that is no error."""
    try:
        async with call.gateway.clock.timeout(wait_ms / 1000):
            return await call.gateway.waiters.ended(turn_id)
    except TimeoutError:
        return None


def _answer(
    waited: _Waited,
    state: str,
    answering: str,
    ended: Ended | None = None,
    *,
    position: int | None = None,
) -> wire.Answer:
    text = ended.text if ended is not None else None
    return wire.Answer.model_validate(
        {
            **waited._asdict(),
            "state": state,
            "reply": text,
            "parts": [{"type": "text", "text": text}] if text else [],
            "kind": ended.kind if ended is not None else "",
            "delivery_key": ended.delivery_key if ended is not None else "",
            "answered_by": answering,
            "position": position,
        }
    )


def _said(body: str | None) -> Parts:
    if body is None:
        return ()
    message = messages.from_json(orjson.loads(body))
    return message.parts if isinstance(message, messages.UserMessage) else ()


_REFUSALS = (Busy, Conflict, Forbidden, UnknownAgent)

SEND = Method(
    "send", Scope.CHAT, send, in_batch=False, whole=True, errors=_REFUSALS, adds_work=True
)
START = Method("turns.start", Scope.CHAT, start, errors=_REFUSALS, adds_work=True)
WAIT = Method("turns.wait", Scope.READ, wait, in_batch=False, whole=True, errors=(NotFound,))
GET = Method("turns.get", Scope.READ, get, whole=True, errors=(NotFound,))
LIST = Method("turns.list", Scope.READ, list_, errors=(NotFound,))
CANCEL = Method("turns.cancel", Scope.CHAT, cancel, always=True, errors=(NotFound, Conflict))
