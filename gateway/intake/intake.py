"""Accepts messages: dedupes, routes, commits, and only then acknowledges.

The turn id is made here. A refused message leaves no trace; an acknowledged one is in the
store and reaches exactly one end. Lanes learn of it after the commit, through `Turns`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import NamedTuple, Protocol

import orjson

from agents.base import messages
from agents.base.agents import Agent
from agents.base.summaries import WANTED
from channels.base.messages import Accepted, Inbound
from gateway.core import parts
from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import (
    Bug,
    Busy,
    Conflict,
    Duplicate,
    UnknownAgent,
)
from gateway.core.ids import AgentId, ContentId, Ids, TurnId
from gateway.core.keys import RouteKey, SessionKey, parse_session_key
from gateway.core.tasks import TaskOwner
from gateway.events.kinds import Kind
from gateway.intake import limits
from gateway.runs.gate import Claim, GateRules, Party, Use
from gateway.runs.places import Places
from gateway.store.base.catalog import Op
from gateway.store.base.conversations import ExpectIdle, PutContent, SessionRow, TouchSession
from gateway.store.base.inputs import (
    AcceptInput,
    FindInput,
    FindKey,
    GetInput,
    InputRow,
    RememberKey,
)
from gateway.store.base.store import Durability, NewEvent, Receipt, Store, Unit
from gateway.telemetry.tasks import task_failed_unasked

MAILBOX = 20
"""Maximum messages that wait in one conversation: more than a person types while a turn runs."""
TURN_GUESS_MS = 3000
"""What a refused sender is told to wait per waiting message: a short turn's length."""
ACCEPTING = 32
"""Messages that are committed at once: what senders may have in the store's queue. Two commits of
so many are under way at a time, a sender with a thousand has a half of them at most, and what comes
of one commit takes some ten milliseconds of the event loop."""
METHOD = "turns.start"
"""Name under which idempotency keys of inputs are kept."""


class Routed(Protocol):
    """Where a message goes and why."""

    @property
    def agent(self) -> Agent: ...

    @property
    def session(self) -> SessionKey: ...

    @property
    def explanation(self) -> str: ...


class _Place(NamedTuple):
    """Which conversation with whom, and why."""

    session: str
    agent: AgentId
    explanation: str


class Routing(Protocol):
    """Chooses the agent; raises a typed error before anything is written."""

    def route(self, route: RouteKey, override: AgentId | None) -> Routed: ...


class Turns(Protocol):
    """What takes over once an input is durable."""

    def put(self, row: InputRow) -> int:
        """Queue it; how many wait before it in its conversation."""
        ...

    def check(self, principal: str) -> None:
        """Whether one more message of this principal is taken. Raises `Busy`."""
        ...

    async def cancel(self, turn_id: TurnId) -> None: ...


class Intake:
    """`channels.base.channel.Intake`: the gateway as channels see it."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: Ids,
        router: Routing,
        turns: Turns,
        mailbox: int = MAILBOX,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._router = router
        self._turns = turns
        self._mailbox = mailbox
        self._accepting = Places(GateRules(ACCEPTING, shared=True, classes=()))
        self._owner = TaskOwner("intake", task_failed_unasked)
        self._closed = False

    async def close(self) -> None:
        """Refuse everything from now on, the gateway is stopping; what was begun is finished."""
        self._closed = True
        await self._owner.close()

    def bounds(self) -> list[Use]:
        """How far the bound on messages that are committed is used."""
        return [self._accepting.gate.use("accepting")]

    async def accept(self, message: Inbound) -> Accepted:
        self._check_open()
        # A sender that stops waiting must not leave a durable input that no lane knows of.
        return await self._owner.run_to_completion("accept", self._take_in(message))

    async def summarise(self, session: SessionRow, route: RouteKey, principal: str) -> TurnId:
        """Have a conversation summarised by a turn of its own, asked for at `route`.

        Raises `Conflict` while another turn of it has not ended, `Busy` while the gateway stops.
        """
        self._check_open()
        asked = self._ask_summary(session, route, principal)
        return await self._owner.run_to_completion("summarise", asked)

    async def cancel(self, turn_id: TurnId) -> None:
        await self._owner.run_to_completion("cancel", self._turns.cancel(turn_id))

    def _check_open(self) -> None:
        if self._closed:
            raise Busy("the gateway is stopping; send it again when it is back")

    async def _ask_summary(self, session: SessionRow, route: RouteKey, principal: str) -> TurnId:
        place = _Place(session.session_key, AgentId(session.agent_id), "asked by sessions.compact")
        accept, unit = self._unit(Inbound(route, (), principal), place, WANTED)
        idle = ExpectIdle(session.session_key)
        receipt = await self._store.commit(replace(unit, ops=(idle, *unit.ops)))
        self._turns.put(_row(accept, int(receipt.value(3)), unit.ops[0]))
        return TurnId(accept.turn_id)

    async def _take_in(self, message: Inbound) -> Accepted:
        limits.check(message)
        try:
            routed = self._router.route(message.route, message.agent)
            limits.check_session(routed.session)
            place = _Place(str(routed.session), routed.agent.id, routed.explanation)
            self._turns.check(message.principal)
            accept, unit = self._unit(message, place, messages.UserMessage(message.parts))
            party = Party(message.principal, routed.agent.id, message.source)
            async with self._accepting.hold(Claim(party)):
                crashpoint("intake.before_commit")
                receipt = await self._commit(unit)
        except (Duplicate, Busy, UnknownAgent) as error:
            # Neither a full mailbox nor a change of agents makes a known message a new one.
            earlier = await self._earlier(message)
            if earlier is not None:
                return earlier
            if isinstance(error, Duplicate):
                raise Bug(f"a message counts as known and cannot be found: {error}") from error
            raise
        crashpoint("intake.after_commit")
        position = self._turns.put(_row(accept, int(receipt.value(2)), unit.ops[0]))
        return Accepted(TurnId(accept.turn_id), routed.session, routed.agent.id, position)

    async def _commit(self, unit: Unit) -> Receipt:
        """Write an input; raises `Busy` when the mailbox of its session is full."""
        try:
            return await self._store.commit(unit)
        except Busy as error:
            raise Busy(
                f"{self._mailbox} messages wait already in this conversation; nothing was "
                "accepted, send it again when some are answered",
                retry_after_ms=self._mailbox * TURN_GUESS_MS,
            ) from error

    def _unit(
        self, message: Inbound, place: _Place, said: messages.Message
    ) -> tuple[AcceptInput, Unit]:
        now = self._clock.now_ms()
        session, agent, explanation = place
        turn_id = self._ids.new("t")
        content_id = ContentId(self._ids.new("c"))
        route = message.route
        body = orjson.dumps(messages.to_json(said)).decode()
        accept = AcceptInput(
            turn_id=turn_id,
            session_key=session,
            agent_id=agent,
            channel=route.channel,
            account=route.account,
            external_id=message.external_id,
            principal=message.principal,
            route_key=str(route),
            agent_override=message.agent or "",
            source=message.source.value,
            barrier=_is_barrier(message),
            destination=str(route.destination()),
            content_id=content_id,
            explanation=explanation,
            at=now,
            expires_at=0 if message.ttl_ms is None else now + message.ttl_ms,
            mailbox=self._mailbox,
        )
        ops: tuple[Op, ...] = (
            PutContent(content_id, session, body),
            TouchSession(session, agent, message.principal, now),
            accept,
        )
        if message.idempotency_key:
            remember = RememberKey(
                message.principal, METHOD, message.idempotency_key, _hash(message), turn_id, now
            )
            ops = (*ops, remember)
        data = {"channel": route.channel, "external_id": message.external_id}
        event = NewEvent(
            now,
            Kind.INPUT_ACCEPTED,
            session,
            agent,
            turn_id,
            orjson.dumps(data).decode(),
            content_id,
        )
        return accept, Unit(ops, (event,), Durability.CRITICAL)

    async def _earlier(self, message: Inbound) -> Accepted | None:
        """The acknowledgement this very message got before, if it did.

        Raises `Conflict` when its idempotency key stands for another message.
        """
        if message.idempotency_key:
            key = FindKey(message.principal, METHOD, message.idempotency_key)
            for known in await self._store.read(key):
                if known.body_hash != _hash(message):
                    raise Conflict(
                        f"the idempotency key {message.idempotency_key!r} was used for another "
                        "message; use a fresh key for a fresh message"
                    )
                return await self._acknowledged(TurnId(known.turn_id))
        if message.external_id:
            route = message.route
            find = FindInput(route.channel, route.account, message.external_id)
            for row in await self._store.read(find):
                return _accepted(row)
        return None

    async def _acknowledged(self, turn_id: TurnId) -> Accepted | None:
        from_store = await self._store.read(GetInput(turn_id))
        return _accepted(from_store[0]) if from_store else None


def _accepted(row: InputRow) -> Accepted:
    session = parse_session_key(row.session_key)
    return Accepted(TurnId(row.turn_id), session, AgentId(row.agent_id), 0, duplicate=True)


def _is_barrier(message: Inbound) -> bool:
    """Commands and attachments are answered alone, and so is what is no message."""
    if len(message.parts) != 1:
        return True
    first = message.parts[0]
    return not isinstance(first, parts.Text) or first.text[:1] == "/"


def _hash(message: Inbound) -> str:
    body = {
        "parts": parts.to_json(message.parts),
        "route": str(message.route),
        "agent": message.agent,
    }
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _row(op: AcceptInput, ordinal: int, content: Op) -> InputRow:
    """The input as the store would read it back."""
    assert isinstance(content, PutContent)
    return InputRow(
        ordinal=ordinal,
        turn_id=op.turn_id,
        session_key=op.session_key,
        agent_id=op.agent_id,
        channel=op.channel,
        account=op.account,
        external_id=op.external_id,
        principal=op.principal,
        route_key=op.route_key,
        agent_override=op.agent_override,
        source=op.source,
        barrier=op.barrier,
        destination=op.destination,
        content_id=op.content_id,
        explanation=op.explanation,
        state="queued",
        detail="",
        merged_into="",
        accepted_at=op.at,
        expires_at=op.expires_at,
        ended_at=None,
        body=content.body,
    )
