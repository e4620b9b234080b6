"""A turn as a durable task: how it runs, how it ends when it cannot, and where it is queued."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from gateway.turns.commanding import Commanding, commanded
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
        self.commanding = Commanding(sessions, boundary)

    def placed(self, place: Place, inputs: Sequence[InputRow] = ()) -> PlacedTurn:
        """This task for one execution in a place; inputs the caller has at hand save a read."""
        return PlacedTurn(self, place, inputs)

    async def run(self, context: RunContext) -> Finish:
        return await self.take(context, Free(), ())

    async def take(self, context: RunContext, place: Place, inputs: Sequence[InputRow]) -> Finish:
        """Take the turn in this place; without inputs it reads them."""
        inputs = inputs or await self._inputs(context.run_id)
        lead = inputs[0]
        if lead.state == "waiting":
            with suppress(Conflict):  # another execution said so, or ended it, in the meantime
                await self._store.commit(Unit((ResumeInput(lead.turn_id),)))
        if lead.barrier and (command := commanded(lead.body)) is not None:
            return await self.commanding.end(command, inputs)
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
                place=place,
            )
            result = await taking.drive(inputs)
            return self._boundary.build(inputs, session, result)

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
            return self._boundary.build(inputs, session, result, quarantined=quarantined)

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        lead = (await self._inputs(run_id))[0]
        told = units.event(lead, Kind.TURN_WAITING, self._world.clock.now_ms(), reason=reason)
        return Pause((PauseInput(lead.turn_id, reason),), (told,))

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        self._lanes.requeue(run, alone=alone)

    async def _inputs(self, run_id: RunId) -> Sequence[InputRow]:
        return await self._store.read(InputsOfTurn(run_id))


@dataclass(frozen=True, slots=True)
class PlacedTurn:
    """`gateway.runs.task.Performer` of one execution: the task with what its lane has at hand."""

    task: TurnTask
    place: Place
    inputs: Sequence[InputRow]

    async def run(self, context: RunContext) -> Finish:
        return await self.task.take(context, self.place, self.inputs)

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        # Reads its inputs again: words deleted since the claim must not come back with the end.
        return await self.task.abandon(run_id, error)

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        return await self.task.pause(run_id, reason)
