"""A turn on a real engine and a real store, without lanes: claimed and executed by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import orjson

from agents.base import messages
from agents.base.messages import Message
from agents.base.models import Model
from agents.base.tools import Tool
from agents.models.scripted import Rule, ScriptedModel
from agents.turn import ToolLoop
from channels.memory import MemoryChannel
from gateway.core.clock import ManualClock
from gateway.core.ids import RunId, SequentialIds, seeded_chance
from gateway.delivery.outbox import Outbox
from gateway.events.previews import Preview, Previews
from gateway.runs.engine import Engine, Outcome
from gateway.sessions.live import LiveSessions
from gateway.store.base.conversations import LoadTranscript
from gateway.store.base.events import EventRow, ReadEvents
from gateway.store.base.inputs import GetInput, InputRow, MergeInput, StartInput
from gateway.store.base.runs import GetRun, RunRow
from gateway.store.base.steps import LoadSteps, StepRow
from gateway.store.base.store import Store, Unit
from gateway.store.sqlite.store import open_sqlite
from gateway.turns.boundary import Boundary
from gateway.turns.slots import Free
from gateway.turns.task import TASK, TurnTask, manifest
from gateway.turns.world import World, by_name
from tests.support.cutting import CuttableStore
from tests.support.house import DEDUPES, Roster, agent
from tests.unit.gateway.turns.rows import SESSION, accepting, row

LEASE_S = 31.0
"""After so long a dead worker's runs can be taken."""


async def claim(store: Store, engine: Engine, rows: Sequence[InputRow]) -> None:
    """What intake and a lane have done before a turn is executed."""
    lead, *others = rows
    for given in rows:
        await store.commit(Unit(accepting(given)))
    merged = (MergeInput(other.turn_id, lead.turn_id, 1) for other in others)
    opening = engine.opening(RunId(lead.turn_id), manifest(rows), session_key=lead.session_key)
    await store.commit(Unit((StartInput(lead.turn_id), *merged, opening)))


class Collected:
    """Keeps the runs that come back; nothing executes them."""

    def __init__(self) -> None:
        self.runs: list[tuple[RunRow, bool]] = []

    def requeue(self, run: RunRow, *, alone: bool) -> None:
        self.runs.append((run, alone))


class Bench:
    """`clock` is the engine's; `world_clock` is what models and tools see, so that a long turn
    needs no thousand renewals of its lease."""

    def __init__(
        self,
        store: Store,
        *,
        rules: Iterable[Rule] = (),
        tools: Sequence[Tool] = (),
        model: Model | None = None,
        lazy: bool = False,
    ) -> None:
        self.real = store
        self.clock = ManualClock()
        self.world_clock = ManualClock()
        self.agents = Roster(agent())
        self.scripted = ScriptedModel(rules)
        self.model = model or self.scripted
        self.tools = tools
        self.previews: list[Preview] = []
        self.channels: list[MemoryChannel] = []
        self._ids = SequentialIds()
        self._lazy = lazy
        self._open()

    def _open(self) -> None:
        self.store = CuttableStore(self.real, lazy=self._lazy)
        self.channels.append(MemoryChannel(capabilities=DEDUPES))
        self.outbox = Outbox(
            store=self.store,
            clock=self.clock,
            ids=self._ids,
            chance=seeded_chance(1),
            channels=[self.channels[-1]],
        )
        previews = Previews()
        previews.listen(self.previews.append)
        self.sessions = LiveSessions(self.store, self.clock)
        self.returned = Collected()
        self.task = TurnTask(
            store=self.store,
            agents=self.agents,
            program=ToolLoop(self.tools, models=("scripted",)),
            world=World(self.world_clock, self._ids, self.model, by_name(self.tools), previews),
            sessions=self.sessions,
            boundary=Boundary(clock=self.clock, ids=self._ids, outbox=self.outbox),
            lanes=self.returned,
        )
        self.engine = Engine(store=self.store, clock=self.clock, ids=self._ids, tasks=[self.task])

    async def restart(self) -> None:
        """Another process goes on, once the lease of the dead one is over."""
        self.store.retire()
        self._open()
        await self.clock.advance(LEASE_S)
        await self.outbox.start()

    async def claim(self, *rows: InputRow) -> None:
        await claim(self.store, self.engine, rows)

    async def begin(self, *rows: InputRow) -> Outcome:
        """Claim and execute, as a lane does; the rows are at hand."""
        await self.claim(*rows)
        claimed = tuple(given._replace(state="running") for given in rows)
        return await self.execute(rows[0].turn_id, fresh=TASK, inputs=claimed)

    async def execute(
        self, turn_id: str = "t_1", *, fresh: str = "", inputs: Sequence[InputRow] = ()
    ) -> Outcome:
        """Execute; ends early, as `lost`, when the store is cut. `inputs` are those at hand."""
        by = self.task.placed(Free(), inputs) if inputs else None
        executing = self.engine.execute(RunId(turn_id), fresh=fresh, by=by)
        return await self.store.while_alive(executing) or "lost"

    async def delivered(self) -> None:
        """Until everything has left, or the store is cut."""
        await self.store.while_alive(self.outbox.drained())

    async def ask(self, text: str, number: int = 1) -> Outcome:
        """A whole turn `t_<number>`."""
        return await self.begin(row(number, text))

    async def quiet(self) -> None:
        """Wait until nothing can happen without time passing."""
        await self.store.quiet()

    # --- what is stored --------------------------------------------------------------------------

    async def input(self, turn_id: str = "t_1") -> InputRow:
        (found,) = await self.real.read(GetInput(turn_id))
        return found

    async def run(self, turn_id: str = "t_1") -> RunRow:
        (found,) = await self.real.read(GetRun(turn_id))
        return found

    async def steps(self, turn_id: str = "t_1") -> list[StepRow]:
        return await self.real.read(LoadSteps(turn_id))

    async def transcript(self) -> list[Message]:
        rows = await self.real.read(LoadTranscript(SESSION))
        return [messages.from_json(orjson.loads(entry.body)) for entry in rows if entry.body]

    async def events(self, kind: str) -> list[EventRow]:
        return [e for e in await self.real.read(ReadEvents(0, 1000)) if e.kind == kind]

    async def shown(self) -> list[str]:
        """What the sender has read, over all processes: a key is shown once."""
        await self.outbox.drained()
        seen = [message for channel in self.channels for message in channel.sent]
        return list({message.key: message.text for message in seen}.values())


@asynccontextmanager
async def open_bench(
    *, rules: Iterable[Rule] = (), tools: Sequence[Tool] = (), model: Model | None = None
) -> AsyncIterator[Bench]:
    """A bench on a fresh store."""
    store = await open_sqlite(None)
    try:
        yield Bench(store, rules=rules, tools=tools, model=model)
    finally:
        await store.close()
