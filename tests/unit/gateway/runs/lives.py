"""Random tasks, and the processes that execute them and die at any write of the store.

A `Program` is a task: steps of every effect, steps that fail and are tried again, recorded time and
ids, waits, sleeps, nested branches. `Lives`
is one run from its opening to its end, over as many processes as it takes; `World` is everything
outside of the store, and sees what must not happen there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import orjson

from agents.base.tools import Effect
from gateway.core.clock import ManualClock, settle
from gateway.core.errors import RunCancelled, RunQuarantined, RunTerminal, TurngateError, describe
from gateway.core.ids import RunId, SequentialIds
from gateway.core.tasks import Ending, TaskOwner
from gateway.runs.attempts import Attempt
from gateway.runs.canonical import Json
from gateway.runs.context import RunContext, decision_key
from gateway.runs.engine import Engine
from gateway.runs.lease import LEASE_S
from gateway.runs.recovery import QUARANTINE_AT
from gateway.runs.retry import RetryPolicy
from gateway.runs.task import Finish, Manifest, Pause
from gateway.store.base.events import ReadEvents
from gateway.store.base.query import Query, Row
from gateway.store.base.runs import GetRun, RunRow
from gateway.store.base.steps import LoadSteps, StepRow
from gateway.store.base.store import Listener, NewEvent, Receipt, Store, Unit

R1 = RunId("r1")
NAP_S = 60.0
"""The longest nap."""
BEARING = RetryPolicy(max_attempts=99, initial_s=0.1, jitter=0)

# --- programs ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Do:
    """A step with an effect in the world."""

    effect: Effect


@dataclass(frozen=True)
class Note:
    """Recorded time, or a recorded id."""

    what: str


@dataclass(frozen=True)
class Wait:
    """For an event, which comes before the run begins or once it is parked."""

    early: bool


@dataclass(frozen=True)
class Side:
    """Programs side by side."""

    branches: tuple[Program, ...]


@dataclass(frozen=True)
class Flaky:
    """A step that fails some times in its life before it works; its policy bears with it."""

    failures: int
    effect = Effect.IDEMPOTENT


@dataclass(frozen=True)
class Nap:
    """A sleep: a short one keeps its place, a long one parks the run."""

    seconds: float


Node = Do | Flaky | Nap | Note | Wait | Side
Program = tuple[Node, ...]


def walk(program: Program, scope: str = "") -> Iterator[tuple[str, Node]]:
    """Every node with its path."""
    for position, node in enumerate(program):
        path = f"{scope}{position}"
        yield path, node
        if isinstance(node, Side):
            for number, branch in enumerate(node.branches):
                yield from walk(branch, f"{path}.{number}.")


# --- the world ---------------------------------------------------------------------------------


@dataclass
class World:
    """What happened outside of the store, over all lives; it sees what must not happen."""

    program: Program
    effects: list[Attempt] = field(default_factory=list)
    seen: dict[str, Json] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)
    errors: list[TurngateError] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    stopped: bool = False

    name = "program"

    async def run(self, context: RunContext) -> Finish:
        event = NewEvent(1, "run.ended")
        try:
            result = await self.perform(context, self.program, "")
        except RunCancelled:
            reached = await context.closing("cancelled", lambda: len(self.effects))
            assert self.seen.setdefault("cancelled", reached) == reached, "last words changed"
            return Finish("cancelled", reached, events=(event,))
        return Finish("completed", result, events=(event,))

    async def abandon(self, run_id: RunId, error: TurngateError) -> Finish:
        self.errors.append(error)
        kind = describe(error).kind
        event = NewEvent(1, "run.ended")
        if isinstance(error, RunQuarantined):
            return Finish("quarantined", error=kind, events=(event,))
        return Finish("failed", error=kind, events=(event,))

    async def pause(self, run_id: RunId, reason: str) -> Pause:
        return Pause()

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        """Lives execute the run themselves."""

    async def perform(self, run: RunContext, program: Program, scope: str) -> Json:
        results: list[Json] = []
        for position, node in enumerate(program):
            path = f"{scope}{position}"
            results.append(await self.perform_one(run, node, path))
        return results

    async def perform_one(self, run: RunContext, node: Node, path: str) -> Json:
        match node:
            case Do(effect):
                return await run.step(
                    "do", self.work, effect=effect, input={"effect": effect.value}
                )
            case Flaky(failures):
                work = partial(self.fail_first, failures)
                return await run.step("flaky", work, effect=node.effect, retry=BEARING)
            case Nap(seconds):
                return await run.sleep(seconds)
            case Note(what):
                value = await (run.now() if what == "now" else run.uuid())
                assert self.seen.setdefault(path, value) == value, "a recorded value changed"
                return value
            case Wait():
                return await run.await_event(f"go-{path}", timeout_s=10**6)
            case Side(branches):
                works = [
                    (str(number), partial(self.branch, program=branch, scope=f"{path}.{number}."))
                    for number, branch in enumerate(branches)
                ]
                return list(await run.branches(works))

    async def branch(self, run: RunContext, *, program: Program, scope: str) -> Json:
        return await self.perform(run, program, scope)

    async def work(self, attempt: Attempt) -> Json:
        assert attempt.path not in self.completed, "a completed step was executed again"
        assert not self.stopped, "something was begun after the run was stopped"
        await settle(1)
        self.effects.append(attempt)
        await settle(1)
        return {"did": attempt.path}

    async def fail_first(self, failures: int, attempt: Attempt) -> Json:
        assert attempt.path not in self.completed, "a completed step was executed again"
        if self.failures[attempt.path] < failures:
            self.failures[attempt.path] += 1
            raise ConnectionError("not yet")
        return await self.work(attempt)

    def result(self) -> Json:
        """What an uninterrupted run returns, given the recorded values."""
        return self._result(self.program, "")

    def _result(self, program: Program, scope: str) -> Json:
        return [self._value(node, f"{scope}{place}") for place, node in enumerate(program)]

    def _value(self, node: Node, path: str) -> Json:
        match node:
            case Do() | Flaky():
                return {"did": path}
            case Nap():
                return None
            case Note():
                return self.seen[path]
            case Wait():
                return {"go": path}
            case Side(branches):
                return [self._result(one, f"{path}.{n}.") for n, one in enumerate(branches)]


# --- death -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cut:
    """At which write a process dies, before or after it holds; what was posted may go with it."""

    at: int
    after: bool
    posts_survive: bool


class MortalStore:
    """A store as a process sees it that dies at `cut`: from then on nothing is written or answered.

    Posted units travel with the next commit, so that they can be lost as they can in a crash.
    """

    def __init__(self, inner: Store, cut: Cut | None) -> None:
        self._inner = inner
        self._cut = cut
        self._posted: list[Unit] = []
        self.commits = 0
        self.stirred = asyncio.Event()
        self.dead = asyncio.Event()

    async def commit(self, unit: Unit) -> Receipt:
        if self.dead.is_set():
            await never()
        self.commits += 1
        self.stirred.set()
        dies = self._cut is not None and self.commits == self._cut.at
        if self._cut is not None and dies and not self._cut.after:
            if self._cut.posts_survive:
                self._flush()
            self.dead.set()
            await never()
        self._flush()
        receipt = await self._inner.commit(unit)
        if dies:
            self.dead.set()
        if self.dead.is_set():
            await never()
        return receipt

    def post(self, unit: Unit) -> None:
        if not self.dead.is_set():
            self._posted.append(unit)

    async def read(self, query: Query[Row]) -> list[Row]:
        rows = await self._inner.read(query)
        if self.dead.is_set():
            await never()
        return rows

    def listen(self, listener: Listener) -> None:
        self._inner.listen(listener)

    async def close(self) -> None:
        await self._inner.close()

    def _flush(self) -> None:
        for unit in self._posted:
            self._inner.post(unit)
        self._posted.clear()


async def never() -> None:
    await asyncio.Event().wait()


# --- lives -------------------------------------------------------------------------------------


class Lives:
    """One run, from its opening to its end, over as many processes as it takes."""

    def __init__(self, program: Program, store: Store) -> None:
        self.world = World(program)
        self.store = store
        self.clock = ManualClock()
        self.ids = SequentialIds()
        self.without_progress = 1  # the process that opens the run executes nothing
        self._completed = 0

    async def open(self) -> None:
        engine = self._engine(self.store)
        await self.store.commit(Unit((engine.opening(R1, Manifest(World.name, None)),)))
        for path, node in walk(self.world.program):
            if isinstance(node, Wait) and node.early:
                await engine.emit(R1, f"go-{path}", {"go": path})
        # The process that opened it is gone.
        self.clock.jump_wall(LEASE_S + 1)

    async def live(self, cut: Cut | None, *, stop_at: int = 0) -> bool:
        """Execute until the end, which is True, or until the cut.

        `stop_at`: somebody asks the run to stop while this write, or a later one, is under way.
        """
        steps = await self.steps()
        self.world.completed = {step.path for step in steps if step.status == "completed"}
        mortal = MortalStore(self.store, cut)
        engine = self._engine(mortal)
        owner = TaskOwner("life", lambda name, error: None)
        life = owner.start("life", self._live(engine), ending=Ending.CANCELLABLE)
        if stop_at:
            stop = self._stop(engine, mortal, stop_at)
            owner.start("stop", stop, ending=Ending.CANCELLABLE)
        death = owner.start("death", mortal.dead.wait(), ending=Ending.CANCELLABLE)
        end = asyncio.wait([life, death], return_when=asyncio.FIRST_COMPLETED)
        await self.clock.drive(end)  # naps and pauses pass when nothing else moves
        ended = life.done()
        await owner.close()
        if ended:
            life.result()
            return True
        await self._count_death()
        self.clock.jump_wall(LEASE_S + 1)
        return False

    async def steps(self) -> list[StepRow]:
        await self.store.commit(Unit())
        return await self.store.read(LoadSteps(R1))

    async def run(self) -> RunRow:
        (row,) = await self.store.read(GetRun(R1))
        return row

    def _engine(self, store: Store) -> Engine:
        return Engine(store=store, clock=self.clock, ids=self.ids, tasks=(self.world,))

    async def _live(self, engine: Engine) -> None:
        while (outcome := await engine.execute(R1)) not in ("ended", "over"):
            assert outcome == "parked"
            await self._answer(engine)

    async def _stop(self, engine: Engine, mortal: MortalStore, at: int) -> None:
        while mortal.commits < at:
            mortal.stirred.clear()
            await mortal.stirred.wait()
        with suppress(RunTerminal):
            await engine.cancel(R1)
            self.world.stopped = True

    async def _answer(self, engine: Engine) -> None:
        """Be the world: emit what is waited for, and say truly what became of cut steps."""
        self.clock.jump_wall(NAP_S)
        done = {attempt.path for attempt in self.world.effects}
        for step in await self.steps():
            if step.status == "completed":
                continue
            if step.kind == "event":
                path = step.path
                await engine.emit(R1, f"go-{path}", {"go": path})
            elif step.effect == Effect.UNSAFE:
                said: dict[str, Json] = {"decision": "did_not_run"}
                if step.path in done:
                    said = {"decision": "ran", "result": {"did": step.path}}
                await engine.emit(R1, decision_key(step.path, step.attempts), said)

    async def _count_death(self) -> None:
        completed = sum(step.status == "completed" for step in await self.steps())
        self.without_progress = self.without_progress + 1 if completed == self._completed else 0
        self._completed = completed


async def check_end(lives: Lives) -> None:
    """What holds of every ended run."""
    world, run = lives.world, await lives.run()
    kinds = [event.kind for event in await lives.store.read(ReadEvents(0, 100))]
    assert kinds == ["run.ended"]
    keys = {attempt.path: attempt.key for attempt in world.effects}
    assert all(key == f"r1:{path}" for path, key in keys.items())
    declared = {
        path: node.effect for path, node in walk(world.program) if isinstance(node, Do | Flaky)
    }
    times = Counter(attempt.path for attempt in world.effects)
    assert all(times[path] <= 1 for path, effect in declared.items() if effect is Effect.UNSAFE)
    if run.status == "completed":
        assert orjson.loads(run.result) == world.result()
        assert set(times) == set(declared)
        assert not world.errors
    if run.status == "quarantined":
        assert lives.without_progress >= QUARANTINE_AT
