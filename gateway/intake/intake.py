"""Accepts messages: dedupes, routes, commits, and only then acknowledges.

The turn id is made here. A refused message leaves no trace; an acknowledged one is in the
store and reaches exactly one end. Lanes learn of it after the commit, through `Turns`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from agents.base.agents import Agent
from channels.base.messages import Accepted, Inbound
from gateway.core.clock import Clock
from gateway.core.crashpoints import crashpoint
from gateway.core.errors import (
    Bug,
    Busy,
    Conflict,
    Duplicate,
    UnknownAgent,
)
from gateway.core.ids import AgentId, Ids, TurnId
from gateway.core.keys import RouteKey, SessionKey, parse_session_key
from gateway.core.tasks import TaskOwner
from gateway.intake import limits
from gateway.intake.commands import Commands, NoCommands, Order
from gateway.intake.writing import (
    METHOD,
    SUMMARY,
    Place,
    accepting,
    body_of,
    fingerprint,
    row_of,
)
from gateway.runs.gate import Claim, GateRules, Party, Use
from gateway.runs.places import Places
from gateway.store.base.conversations import ExpectIdle, SessionRow
from gateway.store.base.inputs import (
    AcceptInput,
    FindInput,
    FindKey,
    GetInput,
    InputRow,
)
from gateway.store.base.store import Receipt, Store, Unit
from gateway.telemetry.tasks import task_failed_unasked

MAILBOX = 20
"""Maximum messages that wait in one conversation: more than a person types while a turn runs."""
TURN_GUESS_MS = 3000
"""What a refused sender is told to wait per waiting message: a short turn's length."""
ACCEPTING = 32
"""Messages that are committed at once: what senders may have in the store's queue. Two commits of
so many are under way at a time, a sender with a thousand has a half of them at most, and what comes
of one commit takes some ten milliseconds of the event loop."""
NO_MAILBOX = 2**31 - 1
"""The bound of what waits nowhere."""


class Routed(Protocol):
    """Where a message goes and why."""

    @property
    def agent(self) -> Agent: ...

    @property
    def session(self) -> SessionKey: ...

    @property
    def explanation(self) -> str: ...


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
        self._commands: Commands = NoCommands()
        self._accepting = Places(GateRules(ACCEPTING, shared=True, classes=()))
        self._owner = TaskOwner("intake", task_failed_unasked)
        self._closed = False

    def obey(self, commands: Commands) -> None:
        """Take texts that begin with a slash for commands from now on."""
        self._commands = commands

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
        place = Place(session.session_key, AgentId(session.agent_id), "asked by sessions.compact")
        accept, unit = self._written(Inbound(route, (), principal), place, SUMMARY)
        idle = ExpectIdle(session.session_key)
        receipt = await self._store.commit(replace(unit, ops=(idle, *unit.ops)))
        self._turns.put(row_of(accept, int(receipt.value(3)), unit.ops[0]))
        return TurnId(accept.turn_id)

    async def _take_in(self, message: Inbound) -> Accepted:
        limits.check(message)
        message, order = self._commands.read(message)
        immediate = order is not None and order.immediate
        try:
            routed = self._router.route(message.route, message.agent)
            limits.check_session(routed.session)
            place = Place(str(routed.session), routed.agent.id, routed.explanation)
            if not immediate:
                self._turns.check(message.principal)
            body = body_of(message) if order is None else order.body
            accept, unit = self._written(message, place, body)
            party = Party(message.principal, routed.agent.id, message.source)
            async with self._accepting.hold(Claim(party)):
                crashpoint("intake.before_commit")
                if order is not None and immediate:
                    await self._answer(order, accept, unit)
                    return Accepted(TurnId(accept.turn_id), routed.session, routed.agent.id, 0)
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
        position = self._turns.put(row_of(accept, int(receipt.value(2)), unit.ops[0]))
        return Accepted(TurnId(accept.turn_id), routed.session, routed.agent.id, position)

    async def _answer(self, order: Order, accept: AcceptInput, unit: Unit) -> None:
        """Write a command and its answer. A full mailbox does not keep it out: it waits nowhere."""
        answered = await self._commands.answer(order, accept)
        room = accept._replace(mailbox=NO_MAILBOX)
        ops = tuple(room if op is accept else op for op in unit.ops)
        events = (*unit.events, *answered.events)
        await self._store.commit(replace(unit, ops=(*ops, *answered.ops), events=events))
        answered.after()

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

    def _written(self, message: Inbound, place: Place, body: str) -> tuple[AcceptInput, Unit]:
        now = self._clock.now_ms()
        return accepting(message, place, body, ids=self._ids, at=now, mailbox=self._mailbox)

    async def _earlier(self, message: Inbound) -> Accepted | None:
        """The acknowledgement this very message got before, if it did.

        Raises `Conflict` when its idempotency key stands for another message.
        """
        if message.idempotency_key:
            key = FindKey(message.principal, METHOD, message.idempotency_key)
            for known in await self._store.read(key):
                if known.body_hash != fingerprint(message):
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
