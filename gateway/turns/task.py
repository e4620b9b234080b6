"""A turn as a durable task: how it runs, how it ends when it cannot, and where it is queued."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from agents.base.agents import Agents
from agents.base.effects import TurnProgram, TurnResult
from gateway.core.errors import Conflict, RunCancelled, TurngateError, UnknownAgent, describe
from gateway.core.ids import AgentId, RunId
from gateway.events.kinds import Kind
from gateway.runs.context import RunContext
from gateway.runs.task import Finish, Manifest, Pause
from gateway.sessions.live import LiveSessions
from gateway.store.base.inputs import InputRow, InputsOfTurn, PauseInput, ResumeInput
from gateway.store.base.runs import RunRow
from gateway.store.base.store import Store, Unit
from gateway.turns import units
from gateway.turns.boundary import Boundary
from gateway.turns.records import storable
from gateway.turns.slots import Free, Place
from gateway.turns.taking import Taking
from gateway.turns.world import World

TASK = "turn"


class Requeue(Protocol):
    """Takes back an interrupted or woken turn, ahead of newer messages."""

    def requeue(self, run: RunRow, *, alone: bool) -> None: ...


def manifest(inputs: Sequence[InputRow]) -> Manifest:
    """What a turn is about: which inputs it answers."""
    return Manifest(TASK, {"inputs": [row.turn_id for row in inputs]})


class TurnTask:
    """`gateway.runs.task.DurableTask` of turns."""

    name = TASK

    def __init__(
        self,
        *,
        store: Store,
        agents: Agents,
        program: TurnProgram,
        world: World,
        sessions: LiveSessions,
        boundary: Boundary,
        lanes: Requeue,
    ) -> None:
        self._store = store
        self._agents = agents
        self._program = program
        self._world = world
        self._sessions = sessions
        self._boundary = boundary
        self._lanes = lanes
        self._claimed: dict[str, tuple[InputRow, ...]] = {}
        self._places: dict[str, Place] = {}
        self._settled: set[RunId] = set()

    def placed(self, run_id: RunId, place: Place, inputs: tuple[InputRow, ...] = ()) -> None:
        """The lane is about to execute a turn in this place; inputs it has at hand save a read."""
        self._places[run_id] = place
        if inputs:
            self._claimed[run_id] = inputs

    def left(self, run_id: RunId) -> None:
        """The execution is over, and the place is the lane's again."""
        self._places.pop(run_id, None)
        self._claimed.pop(run_id, None)

    def settled(self, run_id: RunId) -> bool:
        """Whether the boundary of this turn became durable here; asked once a turn."""
        try:
            self._settled.remove(run_id)
        except KeyError:
            return False
        return True

    async def run(self, context: RunContext) -> Finish:
        inputs = await self._inputs(context.run_id)
        lead = inputs[0]
        if lead.state == "waiting":
            with suppress(Conflict):  # another execution said so, or ended it, in the meantime
                await self._store.commit(Unit((ResumeInput(lead.turn_id),)))
        agent = self._agents.get(AgentId(lead.agent_id))
        if agent is None:
            raise UnknownAgent(f"the agent {lead.agent_id!r} is gone from the workspace")
        async with self._sessions.using(lead.session_key) as session:
            taking = Taking(
                world=self._world,
                program=self._program,
                context=context,
                agent=agent,
                session=session,
                place=self._places.get(context.run_id, Free()),
            )
            result = await taking.drive(inputs)
            return self._end(self._boundary.build(inputs, session, result), context.run_id)

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        inputs = await self._inputs(run_id)
        row = describe(error)
        if isinstance(error, RunCancelled):
            result = TurnResult("cancelled", "")
        else:
            text = storable(f"This could not be answered: {error}.")
            result = TurnResult("failed", text, kind=row.kind)
        quarantined = row.kind == "run_quarantined"
        session_key = inputs[0].session_key
        # What is remembered of the conversation may be what was wrong.
        self._sessions.forget(session_key)
        async with self._sessions.using(session_key) as session:
            finish = self._boundary.build(inputs, session, result, quarantined=quarantined)
            return self._end(finish, run_id)

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        lead = (await self._inputs(run_id))[0]
        told = units.event(lead, Kind.TURN_WAITING, self._world.clock.now_ms(), reason=reason)
        return Pause((PauseInput(lead.turn_id, reason),), (told,))

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        self._lanes.requeue(run, alone=alone)

    def _end(self, finish: Finish, run_id: RunId) -> Finish:
        """The same end; once it is durable, the lane learns that nothing is left to do."""

        def after() -> None:
            self._settled.add(run_id)
            if finish.after is not None:
                finish.after()

        return replace(finish, after=after)

    async def _inputs(self, run_id: RunId) -> Sequence[InputRow]:
        return self._claimed.pop(run_id, ()) or await self._store.read(InputsOfTurn(run_id))
