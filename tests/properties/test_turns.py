"""Any turn, cut anywhere, ends as if nothing had happened: random plans on a real engine and store.

The operator of these tests tells the truth: of an unsafe call that was cut he knows whether it was
made.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base.messages import AssistantMessage, Message, ToolCall, ToolMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest, ToolSpec
from agents.base.tools import TOOL_TIMEOUT_S, Effect, ToolContext, ToolResult
from gateway.core.errors import ModelCategory, ModelFailed, ToolError
from gateway.runs.context import decision_key
from gateway.store.base.runs import EmitRunEvent
from gateway.store.base.steps import StepRow
from gateway.store.base.store import Unit
from gateway.store.sqlite.store import open_sqlite
from gateway.turns.task import TASK
from tests.properties.examples import examples
from tests.unit.gateway.turns.bench import Bench
from tests.unit.gateway.turns.rows import row

EFFECTS = {"look": Effect.PURE, "put": Effect.IDEMPOTENT, "pay": Effect.UNSAFE}
MAX_CUTS = 3
"""One less than what puts a run into quarantine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a model does: rounds of calls (the tool, and whether it refuses), then how it ends."""

    rounds: list[list[tuple[str, bool]]]
    end: ModelCategory | None


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a process ends: at its n-th commit, before it is written or before it is told."""

    commit: int
    written: bool


CALLS = st.tuples(st.sampled_from(list(EFFECTS)), st.booleans())
PLANS = st.builds(
    Plan,
    st.lists(st.lists(CALLS, min_size=1, max_size=3), max_size=2),
    st.just(None) | st.sampled_from(get_args(ModelCategory)),
)
CUTS = st.lists(st.builds(Cut, st.integers(1, 14), st.booleans()), max_size=MAX_CUTS)


def outcome(name: str, *, refuses: bool) -> ToolResult:
    """What a call comes to."""
    return ToolResult(f"{name} {'refused' if refuses else 'done'}", is_error=refuses)


class PlannedModel:
    """Follows a plan; `asked` counts the calls of each round."""

    def __init__(self, plan: Plan) -> None:
        self.asked: Counter[int] = Counter()
        self._plan = plan

    async def open(self) -> None:
        """There is nothing to open."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        done = sum(isinstance(message, AssistantMessage) for message in request.messages)
        self.asked[done] += 1
        if done < len(self._plan.rounds):
            calls = tuple(
                ToolCall(f"r{done}c{index}", name, f'{{"refuse": {str(refuses).lower()}}}')
                for index, (name, refuses) in enumerate(self._plan.rounds[done])
            )
            return ModelReply(f"round {done}", calls, "tool_calls")
        if self._plan.end is not None:
            raise ModelFailed(self._plan.end, "as planned")
        results = [m.text for m in request.messages if isinstance(m, ToolMessage)]
        return ModelReply(f"the answer from {results}")

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass(slots=True, eq=False)
class CountingTool:
    """Counts the calls it gets under each key."""

    name: str
    made: Counter[str] = field(default_factory=Counter)
    timeout_s: float = TOOL_TIMEOUT_S
    needs_folder: bool = False

    @property
    def effect(self) -> Effect:
        return EFFECTS[self.name]

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, f"Does {self.name}.", '{"type": "object"}')

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        self.made[context.key] += 1
        result = outcome(self.name, refuses=orjson.loads(arguments)["refuse"])
        if result.is_error:
            raise ToolError(result.text)
        return result


@dataclass(frozen=True, slots=True)
class Ending:
    """What everybody sees of a turn once it is over."""

    transcript: list[Message]
    shown: list[str]
    state: tuple[str, str]


class Story:
    """One turn, over as many processes as its cuts need."""

    def __init__(self, bench: Bench, plan: Plan, model: PlannedModel) -> None:
        self.bench = bench
        self._plan = plan
        self._model = model
        self._made = {tool.spec.name: tool.made for tool in _counting(bench)}
        self._paid: dict[str, int] = {}
        """How often what is recorded had been done when its record was first seen."""

    async def tell(self, cuts: list[Cut]) -> Ending:
        bench = self.bench
        await bench.claim(row(1, "go"))
        fresh = TASK
        for cut in (*cuts, None):
            if cut is not None:
                bench.store.cut_at(cut.commit, written=cut.written)
            await self._one_process(fresh)
            await self._check_what_is_paid()
            if not bench.store.dead.is_set():
                break
            fresh = ""
            await bench.restart()
        given = await bench.input()
        return Ending(await bench.transcript(), await bench.shown(), (given.state, given.detail))

    async def _one_process(self, fresh: str) -> None:
        """Execute, answering questions, until the turn has ended or the process has."""
        outcome = await self.bench.execute(fresh=fresh)
        while outcome == "parked":
            for step in await self.bench.steps():
                if step.status == "running" and step.effect == Effect.UNSAFE:
                    await self._decide(step)
            outcome = await self.bench.execute()
        await self.bench.delivered()

    async def _decide(self, step: StepRow) -> None:
        said: dict[str, object] = {"decision": "did_not_run"}
        if self._count(step):
            call = re.search(r"r(\d)c(\d)", step.path)
            assert call is not None
            name, refuses = self._plan.rounds[int(call[1])][int(call[2])]
            result = outcome(name, refuses=refuses)
            answer = {"text": result.text, "is_error": result.is_error}
            said = {"decision": "ran", "result": answer}
        key = decision_key(step.path, step.attempts)
        emit = EmitRunEvent("t_1", key, orjson.dumps(said).decode(), 1)
        await self.bench.real.commit(Unit((emit,)))

    async def _check_what_is_paid(self) -> None:
        """P3: once recorded, never done again; P4: unsafe at most once, recorded or not."""
        steps = [step for step in await self.bench.steps() if step.kind in ("llm", "tool")]
        now = {step.path: self._count(step) for step in steps if step.status == "completed"}
        assert {path: now[path] for path in self._paid} == self._paid
        self._paid = now
        assert max(self._made["pay"].values(), default=0) <= 1

    def _count(self, step: StepRow) -> int:
        what, _, name = step.intent.partition(":")
        return self._model.asked[int(name)] if what == "model" else self._made[name][_key(step)]


def _key(step: StepRow) -> str:
    return f"t_1:{step.path}"


def _counting(bench: Bench) -> list[CountingTool]:
    return [tool for tool in bench.tools if isinstance(tool, CountingTool)]


async def told(plan: Plan, cuts: list[Cut], *, lazy: bool = False) -> Ending:
    """How the turn of a plan ends, on a store of its own."""
    store = await open_sqlite(None)
    try:
        model = PlannedModel(plan)
        tools = [CountingTool(name) for name in EFFECTS]
        bench = Bench(store, model=model, tools=tools, lazy=lazy)
        ending = await Story(bench, plan, model).tell(cuts)
        if ending.state[0] == "answered":
            calls = Counter(name for round_ in plan.rounds for name, _ in round_)
            done = {tool.name: len(tool.made) for tool in tools if tool.made}
            assert done == calls
        return ending
    finally:
        await store.close()


# Each example runs a turn twice, over up to four processes.
@pytest.mark.timeout(60)
@examples(30)
@given(PLANS, CUTS, st.booleans())
def test_a_turn_cut_anywhere_ends_like_one_that_was_not(
    plan: Plan, cuts: list[Cut], lazy: bool
) -> None:
    """Same transcript, same answer seen once, same state; nothing recorded is paid for again."""

    async def both() -> tuple[Ending, Ending]:
        return await told(plan, []), await told(plan, cuts, lazy=lazy)

    whole, cut = asyncio.run(both(), debug=True)
    assert cut == whole
    assert len(whole.shown) == 1
    assert whole.state[0] == ("answered" if plan.end is None else "failed")


# A turn with every kind of call, cut at each of its commits, both ways.
@pytest.mark.timeout(60)
@pytest.mark.parametrize("written", [True, False])
def test_every_commit_of_a_turn_is_a_place_to_be_cut(written: bool) -> None:
    """What random cuts may miss: one process ends there, the next one finishes."""
    plan = Plan([[("look", False), ("pay", False)], [("put", True), ("pay", True)]], None)

    async def each() -> None:
        whole = await told(plan, [])
        for commit in range(1, 17):
            assert await told(plan, [Cut(commit, written)]) == whole

    asyncio.run(each(), debug=True)
