"""Whatever a task does and wherever its process dies: as if it had never been interrupted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.base.tools import Effect
from gateway.core.clock import ManualClock
from gateway.core.errors import RunTerminal
from gateway.core.ids import RunId, SequentialIds
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext, decision_key
from gateway.runs.lease import LEASE_S
from gateway.runs.task import Finish
from gateway.store.base.events import ReadEvents
from gateway.store.base.runs import RunRow
from gateway.store.base.steps import LoadSteps, StepRow
from gateway.store.base.store import NewEvent
from gateway.store.sqlite.store import open_sqlite
from tests.properties.examples import examples
from tests.unit.gateway.runs.lives import (
    NAP_S,
    Cut,
    Do,
    Flaky,
    Lives,
    Nap,
    Node,
    Note,
    Program,
    Side,
    Wait,
    check_end,
)
from tests.unit.gateway.runs.scripts import Process, Script, Work, run_of, steps_of
from tests.unit.gateway.runs.stores import FlakyStore

T = TypeVar("T")

leaves: st.SearchStrategy[Node] = st.one_of(
    st.builds(Do, st.sampled_from(Effect)),
    st.builds(Note, st.sampled_from(["now", "uuid"])),
    st.builds(Wait, st.booleans()),
    st.builds(Flaky, st.integers(1, 2)),
    st.builds(Nap, st.sampled_from([0.0, 1.0, NAP_S])),
)


def programs(nodes: st.SearchStrategy[Node], size: int) -> st.SearchStrategy[Program]:
    return st.lists(nodes, min_size=1, max_size=size).map(tuple)


nodes = st.recursive(
    leaves,
    lambda inner: st.lists(programs(inner, 3), min_size=1, max_size=3).map(
        lambda branches: Side(tuple(branches))
    ),
    max_leaves=8,
)


cuts = st.lists(st.builds(Cut, st.integers(1, 12), st.booleans(), st.booleans()), max_size=8)


# An unsafe step that is cut before its effect, and, once a person said so, again after it.
@example(program=(Do(Effect.UNSAFE),), cuts=[Cut(3, True, True), Cut(8, False, True)])
@examples(40)
@given(programs(nodes, 4), cuts)
@pytest.mark.timeout(60)
async def test_a_run_ends_as_if_it_had_never_been_interrupted(
    program: Program, cuts: Sequence[Cut]
) -> None:
    """Same result, each effect, unsafe ones once, nothing recorded is done again; or quarantine."""
    store = await open_sqlite(None)
    try:
        lives = Lives(program, store)
        await lives.open()
        for cut in (*cuts, None):
            if await lives.live(cut):
                break
        assert (await lives.run()).status in ("completed", "quarantined")
        await check_end(lives)
    finally:
        await store.close()


@examples(40)
@given(programs(nodes, 4), cuts, st.integers(0, 8), st.integers(1, 12))
@pytest.mark.timeout(60)
async def test_a_stopped_run_begins_nothing_more_and_ends_once(
    program: Program, cuts: Sequence[Cut], stop_in: int, stop_at: int
) -> None:
    """Wherever the wish and the crashes fall; what it said at last does not change."""
    store = await open_sqlite(None)
    try:
        lives = Lives(program, store)
        await lives.open()
        for number, cut in enumerate((*cuts, None)):
            if await lives.live(cut, stop_at=stop_at if number == min(stop_in, len(cuts)) else 0):
                break
        run = await lives.run()
        assert run.status in ("cancelled", "completed", "quarantined")
        if run.status == "cancelled":
            assert run.cancel_requested
            assert orjson.loads(run.result) == lives.world.seen["cancelled"]
        await check_end(lives)
    finally:
        await store.close()


# --- two gateways on one store -----------------------------------------------------------------

RUNS = [RunId("r1"), RunId("r2")]
GATEWAYS = [0, 1]
TERMINAL = ("completed", "failed", "cancelled", "quarantined")
LEGAL = {
    # From one look to the next: a parked run may be woken and end in between.
    "running": ("running", "suspended", *TERMINAL),
    "suspended": ("suspended", "running", *TERMINAL),
}


class Gateways(RuleBasedStateMachine):
    """Two engines open, execute, park, wake, stop, lose and take over the same runs."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(debug=True)
        self.clock = ManualClock()
        self.ids = SequentialIds()
        self.store = self.within(self._open())
        self.works = {(run_id, name): Work(name) for run_id in RUNS for name in ("a", "b")}
        self.processes = [self._process() for _ in GATEWAYS]
        self.opened: set[RunId] = set()
        self.runs: dict[RunId, RunRow] = {}
        self.steps: dict[RunId, dict[str, StepRow]] = {}

    @rule(run_id=st.sampled_from(RUNS), gateway=st.sampled_from(GATEWAYS))
    def open_and_execute(self, run_id: RunId, gateway: int) -> None:
        if run_id in self.opened:
            return
        self.opened.add(run_id)
        process = self.processes[gateway]
        self.within(process.open(run_id))
        self._begin(process, run_id, fresh=True)

    @rule(run_id=st.sampled_from(RUNS), gateway=st.sampled_from(GATEWAYS))
    def execute(self, run_id: RunId, gateway: int) -> None:
        if run_id in self.opened:
            self._begin(self.processes[gateway], run_id)

    @rule(run_id=st.sampled_from(RUNS), name=st.sampled_from(["a", "b"]), held=st.booleans())
    def hold_or_let_go(self, run_id: RunId, name: str, held: bool) -> None:
        work = self.works[run_id, name]
        (work.go_on.clear if held else work.go_on.set)()

    @rule(run_id=st.sampled_from(RUNS), gateway=st.sampled_from(GATEWAYS))
    def emit(self, run_id: RunId, gateway: int) -> None:
        if run_id in self.opened:
            self.within(self.processes[gateway].engine.emit(run_id, "go", str(gateway)))

    @rule(run_id=st.sampled_from(RUNS), gateway=st.sampled_from(GATEWAYS))
    def stop_run(self, run_id: RunId, gateway: int) -> None:
        if run_id in self.opened:
            self.within(self._cancel(self.processes[gateway], run_id))

    @rule(gateway=st.sampled_from(GATEWAYS), in_order=st.booleans())
    def restart(self, gateway: int, in_order: bool) -> None:
        process = self.processes[gateway]
        if in_order:
            self.within(process.engine.stop())
        self.within(process.die())
        self.processes[gateway] = self._process()

    @precondition(lambda self: self.opened)
    @rule()
    def all_leases_end(self) -> None:
        """As when both processes were paused for longer than that."""
        self.clock.jump_wall(LEASE_S + 1)

    @invariant()
    def nothing_moves_but_forward(self) -> None:
        self.within(self._check())

    def teardown(self) -> None:
        """Whatever happened, a new process brings every run to its end."""
        try:
            self.clock.jump_wall(LEASE_S + 1)
            for work in self.works.values():
                work.go_on.set()
            self.within(self._finish())
        finally:
            self.within(self.store.close())
            self.runner.close()

    def within(self, work: Awaitable[T]) -> T:
        async def body() -> T:
            return await work

        return self.runner.run(body())

    async def _open(self) -> FlakyStore:
        return FlakyStore(await open_sqlite(None))

    def _process(self) -> Process:
        return Process(self.store, Script(self._body), self.clock, self.ids)

    async def _body(self, run: RunContext) -> Json:
        a = await run.step("a", self.works[run.run_id, "a"], effect=Effect.UNSAFE)
        went = await run.await_event("go", timeout_s=10**6)
        b = await run.step("b", self.works[run.run_id, "b"])
        return Finish("completed", [a, went, b], events=(NewEvent(1, run.run_id),))

    def _begin(self, process: Process, run_id: RunId, *, fresh: bool = False) -> None:
        async def begin() -> None:
            name = process.task.name if fresh else ""
            process.begin(process.engine.execute(run_id, fresh=name))
            await self.store.quiet()

        self.within(begin())

    async def _cancel(self, process: Process, run_id: RunId) -> None:
        try:
            await process.engine.cancel(run_id)
        except RunTerminal:
            assert (await run_of(self.store, run_id)).status in TERMINAL

    async def _check(self) -> None:
        await self.store.quiet()
        for run_id in sorted(self.opened):
            run, steps = await run_of(self.store, run_id), await steps_of(self.store, run_id)
            self._compare(run, steps)
            self.runs[run_id], self.steps[run_id] = run, steps
        kinds = [event.kind for event in await self.store.read(ReadEvents(0, 100))]
        assert len(kinds) == len(set(kinds)), "a run has ended twice"

    def _compare(self, run: RunRow, steps: dict[str, StepRow]) -> None:
        before = self.runs.get(RunId(run.run_id))
        if before is not None and before.status in TERMINAL:
            assert run == before, "a run changed after its end"
        elif before is not None:
            assert run.status in LEGAL[before.status]
            assert run.epoch >= before.epoch
        assert bool(run.holder) == (run.status == "running" and run.reason == "")
        for path, step in self.steps.get(RunId(run.run_id), {}).items():
            assert steps[path].attempts >= step.attempts
            if step.status == "completed":
                assert steps[path] == step, "a completed step changed"
        if run.status == "completed":
            assert {step.status for step in steps.values()} == {"completed"}

    async def _finish(self) -> None:
        for process in self.processes:
            await process.die()
        process = self._process()
        for run_id in sorted(self.opened):
            await process.engine.emit(run_id, "go", "end")
            while await process.engine.execute(run_id) not in ("ended", "over"):
                for step in await self.store.read(LoadSteps(run_id)):
                    key = decision_key(step.path, step.attempts)
                    await process.engine.emit(run_id, key, {"decision": "ran", "result": "a"})
            assert (await run_of(self.store, run_id)).status in TERMINAL
        await self._check()


Gateways.TestCase.settings = settings(examples(15), stateful_step_count=15)
TestGateways = pytest.mark.timeout(60)(Gateways.TestCase)
