"""One execution of one turn: drives the generator, each effect as a recorded step.

The generator knows no store and no clock; this lends it both. Everything it is told comes from a
recorded step, so an interrupted turn meets the same answers again and goes on where it was cut.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import assert_never
from urllib.parse import quote

import orjson

from agents.base import messages
from agents.base.agents import Agent
from agents.base.effects import (
    CallModel,
    CallTools,
    Cancelled,
    Compact,
    Effects,
    FinishedTool,
    ModelFailure,
    ModelOutcome,
    Outcome,
    Snapshot,
    Turn,
    TurnProgram,
    TurnResult,
)
from agents.base.messages import ToolCall
from agents.base.models import PATIENCE_S, Emit, ModelContext, ModelReply
from agents.base.tools import ToolResult
from channels.base.messages import SourceClass
from gateway.core.errors import Bug, ModelAttempt, NotFound, RunCancelled
from gateway.core.ids import TurnId
from gateway.events.kinds import Kind
from gateway.events.previews import Preview
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext
from gateway.sessions.live import Session
from gateway.store.base.inputs import InputRow
from gateway.store.base.store import NewEvent
from gateway.turns import records
from gateway.turns.live_text import LiveText
from gateway.turns.slots import Place
from gateway.turns.world import World

MAX_RESTARTS = 64
"""Answers begun anew within one attempt of a step stay below this: attempts only count up."""

BACKGROUND_PATIENCE_S = 120.0
"""How long a turn nobody looks at waits for a model to come back."""


class Taking:
    """A turn being taken: what it has shown and finished so far is lost with the process."""

    def __init__(
        self,
        *,
        world: World,
        program: TurnProgram,
        context: RunContext,
        agent: Agent,
        session: Session,
        place: Place,
    ) -> None:
        self._world = world
        self._program = program
        self._context = context
        self._agent = agent
        self._session = session
        self._place = place
        self._chars = session.chars
        self._began = world.clock.monotonic()
        self._patience_s = PATIENCE_S
        self._principal = ""
        self._calls = 0
        self._tokens = 0
        self._shown: list[str] = []
        self._finished: list[FinishedTool] = []

    async def drive(self, inputs: Sequence[InputRow]) -> TurnResult:
        """Run the generator to its end."""
        self._principal = inputs[0].principal
        if all(row.source != SourceClass.PERSON for row in inputs):
            self._patience_s = BACKGROUND_PATIENCE_S
        value = await self._context.record("prepare", self._prepare)
        snapshot = records.snapshot_from_json(value)
        said = [messages.from_json(orjson.loads(row.body)) for row in inputs if row.body]
        if not said:
            raise NotFound("the message was deleted before it was answered")
        self._grew(sum(len(row.body or "") for row in inputs))
        turn = self._program.run(snapshot, (*self._session.history, *said))
        try:
            effect = next(turn)
            while True:
                try:
                    outcome = await self._perform(effect, snapshot)
                except RunCancelled:
                    return await self._cancel(turn)
                effect = turn.send(outcome)
        except StopIteration as end:
            result: TurnResult = end.value
            return result

    def _prepare(self) -> Json:
        revision, now = self._session.revision, self._world.clock.now_ms()
        snapshot = self._program.prepare(self._agent, revision=revision, now_ms=now)
        return records.snapshot_to_json(snapshot)

    async def _perform(self, effect: Effects, snapshot: Snapshot) -> Outcome:
        self._shown.clear()
        self._finished.clear()
        match effect:
            case CallModel():
                return await self._ask(effect, snapshot)
            case Compact():
                return await self._summarise(effect, snapshot)
            case CallTools(calls):
                branches = [(_safe(call.id), self._branch(call, snapshot)) for call in calls]
                async with self._place.released():
                    return await self._context.branches(branches)
            case _:
                assert_never(effect)

    async def _ask(self, effect: CallModel, snapshot: Snapshot) -> Outcome:
        async def work(attempt: Attempt) -> Json:
            left_s = self._left_s()
            if left_s < 0:
                late = ModelFailure("timeout", f"the turn took more than {self._world.turn_s:g} s")
                return records.outcome_to_json(late)
            number = (attempt.number - 1) * MAX_RESTARTS + 1
            live = LiveText(self._context, replace(attempt, number=number), self._world.clock)
            if attempt.number > 1:  # an earlier one may have shown something and was cut short
                self._show(attempt.path, number, 0, "", restarted=True)
            try:
                watched = self._watched(attempt.path, number, live, left_s)
                outcome = await self._call(effect, attempt, watched)
            finally:
                live.flush()
            told = records.outcome_to_json(outcome)
            if effect.shortened is not None:
                told["shortened"] = records.shortened_to_json(effect.shortened)
                self._tell(attempt, Kind.TURN_SHORTENED, told["shortened"])
            return told

        return await self._recorded("model", effect, snapshot, work)

    async def _summarise(self, effect: Compact, snapshot: Snapshot) -> Outcome:
        """A recorded summary; nobody sees it on its way."""

        async def work(attempt: Attempt) -> Json:
            context = replace(self._asking(_unseen, max(self._left_s(), 0)), aside=True)
            async with self._place.released():
                await self._world.remember(self._agent.id, self._session.key, effect.beginning)
            outcome = await self._call(effect, attempt, context)
            sizes: dict[str, str | int] = {
                "messages": len(effect.beginning),
                "tokens": effect.tokens,
            }
            if isinstance(outcome, ModelReply):
                self._tell(attempt, Kind.TURN_COMPACTED, sizes)
            return records.outcome_to_json(outcome) | {"compacted": sizes}

        return await self._recorded("compact", effect, snapshot, work)

    async def _recorded(
        self,
        intent: str,
        effect: CallModel | Compact,
        snapshot: Snapshot,
        work: Callable[[Attempt], Awaitable[Json]],
    ) -> ModelOutcome:
        value = await self._context.step(
            f"{intent}:{effect.round}",
            work,
            kind="llm",
            input={"round": effect.round, "revision": snapshot.revision},
        )
        outcome = records.outcome_from_json(value)
        # Counted whichever process asked: the turn's budget outlives them.
        self._calls += 1
        if isinstance(outcome, ModelReply):
            self._grew(len(outcome.text) + sum(len(call.arguments) for call in outcome.tool_calls))
            self._tokens += outcome.usage.input_tokens + outcome.usage.output_tokens
        return outcome

    async def _call(
        self, effect: CallModel | Compact, attempt: Attempt, context: ModelContext
    ) -> ModelOutcome:
        """Ask the model. What is tried on the way is noted: a crash must not hide it."""
        before = records.attempts_from_json(attempt.noted or {})

        def tried(now: tuple[ModelAttempt, ...]) -> None:
            self._context.note(attempt, records.attempts_to_json((*before, *now)))

        async with self._place.released():
            outcome = await self._world.call_model(effect, replace(context, tried=tried))
        if before:
            outcome = replace(outcome, attempts=(*before, *outcome.attempts))
        self._note(attempt, effect.request.model, outcome)
        return outcome

    def _grew(self, chars: int) -> None:
        """So much was added to what the turn holds in memory."""
        self._chars += chars
        self._place.weigh(self._chars)

    def _left_s(self) -> float:
        """How long the turn may still work."""
        return self._began + self._world.turn_s - self._world.clock.monotonic()

    def _note(self, attempt: Attempt, model: str, outcome: ModelOutcome) -> None:
        if isinstance(outcome, ModelReply):
            self._context.charge(
                attempt,
                records.storable(outcome.model or model),
                tokens_in=outcome.usage.input_tokens,
                tokens_out=outcome.usage.output_tokens,
            )
            first, *more = outcome.attempts or (None,)
            if first is not None and more:
                data: dict[str, str | int] = {
                    "requests": 1 + len(more),
                    "category": first.category,
                    "profile": more[-1].profile,
                    "model": records.storable(more[-1].model),
                }
                self._tell(attempt, Kind.TURN_FAILED_OVER, data)

    def _tell(self, attempt: Attempt, kind: Kind, data: dict[str, str | int]) -> None:
        """An entry of the log about this turn."""
        now, turn_id = self._world.clock.now_ms(), TurnId(self._context.run_id)
        said = orjson.dumps(data).decode()
        key, agent_id = self._session.key, self._agent.id
        self._context.tell(attempt, NewEvent(now, kind, key, agent_id, turn_id, said))

    def _branch(
        self, call: ToolCall, snapshot: Snapshot
    ) -> Callable[[RunContext], Awaitable[ToolResult]]:
        async def branch(context: RunContext) -> ToolResult:
            async def work(attempt: Attempt) -> Json:
                result = await self._world.call_tool(call, self._agent, attempt.key)
                return records.result_to_json(result)

            # Before the step begins: a crash leaves no doubt about what only waited for a place.
            async with nullcontext() if self._world.waits(call) else self._place.tool():
                value = await context.step(
                    f"tool:{call.name}",
                    work,
                    kind="tool",
                    effect=self._world.effect_of(call),
                    input={"arguments": call.arguments, "revision": snapshot.revision},
                )
            result = records.result_from_json(value)
            self._grew(len(result.text))
            self._finished.append(FinishedTool(call, result))
            return result

        return branch

    def _watched(self, step: str, number: int, live: LiveText, left_s: float) -> ModelContext:
        """The world as a model sees it: what it says is shown, a fresh start discards that."""
        offset = 0

        def emit(text: str) -> None:
            nonlocal offset
            self._shown.append(text)
            text = records.storable(text)
            self._show(step, number, offset, text)
            live.add(text)
            offset += len(text)

        def restarted() -> None:
            nonlocal number, offset
            number, offset = number + 1, 0
            self._shown.clear()
            self._show(step, number, 0, "", restarted=True)
            live.restart(number)

        def queued(place: int) -> None:
            self._show(step, number, offset, "", place=place)

        return replace(self._asking(emit, left_s), restarted=restarted, queued=queued)

    def _asking(self, emit: Emit, within_s: float) -> ModelContext:
        """Who asks, and on whose budget."""
        return ModelContext(
            self._world.clock,
            emit,
            session=self._session.key,
            root=self._context.root,
            agent=self._agent.id,
            principal=self._principal,
            calls=self._calls,
            tokens=self._tokens,
            patience_s=self._patience_s,
            within_s=within_s,
        )

    def _show(
        self,
        step: str,
        number: int,
        offset: int,
        text: str,
        *,
        restarted: bool = False,
        place: int | None = None,
    ) -> None:
        turn_id = TurnId(self._context.run_id)
        preview = Preview(turn_id, self._session.key, step, number, offset, text, restarted, place)
        self._world.previews.publish(preview)

    async def _cancel(self, turn: Turn) -> TurnResult:
        """Tell the generator to stop; what it had reached is recorded for the next execution."""
        reached = await self._context.closing("cancelled", self._reached)
        stop = Cancelled(
            partial_text=reached["partial_text"],
            finished_tools=tuple(map(records.finished_from_json, reached["finished_tools"])),
        )
        try:
            turn.throw(stop)
        except StopIteration as end:
            result: TurnResult = end.value
            return result
        raise Bug("a turn went on after it was cancelled")

    def _reached(self) -> Json:
        return {
            "partial_text": records.storable("".join(self._shown)),
            "finished_tools": [records.finished_to_json(done) for done in self._finished],
        }


def _unseen(text: str) -> None:
    """Nobody is shown this."""


def _safe(call_id: str) -> str:
    """A call id as one piece of a step path."""
    return quote(call_id, safe="").replace(".", "%2E") or "%"
