"""A gateway in a test: real parts, time and ids by hand, several lives on one database file."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import orjson

from agents.base import messages
from agents.base.agents import Agent
from agents.base.messages import Message, UserMessage
from agents.base.models import Model, ModelContext, ModelReply, ModelRequest, ToolSpec
from agents.base.tools import TOOL_TIMEOUT_S, Effect, Tool, ToolContext, ToolResult
from agents.models.scripted import Rule, ScriptedModel
from channels.base.channel import Capabilities
from channels.base.messages import Accepted, Inbound, Outbound
from channels.memory import Gate, MemoryChannel
from gateway.composition.root import Chosen, open_gateway
from gateway.core.clock import ManualClock
from gateway.core.ids import AgentId, SequentialIds, seeded_chance
from gateway.core.keys import RouteKey, SessionScope
from gateway.core.parts import Part, Text, text_of
from gateway.core.tasks import Ending, TaskOwner
from gateway.running import Gateway
from gateway.settings.settings import Settings
from gateway.store.base.conversations import LoadTranscript
from gateway.store.base.events import EventRow, ReadEvents
from gateway.store.base.inputs import GetInput, InputRow
from gateway.store.sqlite.store import open_sqlite
from gateway.turns.world import Compacting
from tests.support.cutting import CuttableStore
from tests.support.patience import PATIENCE_S

T = TypeVar("T")

MAIN = AgentId("main")
DEDUPES = Capabilities(dedupes=True)


class Roster:
    """Agents that a test adds and removes."""

    def __init__(self, *agents: Agent) -> None:
        self.agents = {agent.id: agent for agent in agents}

    def get(self, agent_id: AgentId) -> Agent | None:
        return self.agents.get(agent_id)

    def ids(self) -> tuple[AgentId, ...]:
        return tuple(self.agents)


def agent(name: str = MAIN, **fields: SessionScope | frozenset[str]) -> Agent:
    """An agent that lives nowhere."""
    return Agent(AgentId(name), name, "You are a test.", Path("/nonexistent"), **fields)  # type: ignore[arg-type]  # fields are as declared


@dataclass(slots=True, eq=False)
class Notebook:
    """A tool that writes down each call: `calls` holds arguments and key, in order.

    With a `gate` it stands still after that. It answers with `says`, or raises `error`.
    """

    name: str = "note"
    effect: Effect = Effect.PURE
    says: str = "noted"
    timeout_s: float = TOOL_TIMEOUT_S
    needs_folder: bool = False
    error: Exception | None = None
    gate: Gate | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(self.name, f"Does {self.name}.", '{"type": "object"}')

    async def run(self, arguments: str, context: ToolContext) -> ToolResult:
        self.calls.append((arguments, context.key))
        if self.gate is not None:
            await self.gate.passed()
        if self.error is not None:
            raise self.error
        return ToolResult(self.says)


class PatientModel(ScriptedModel):
    """The scripted model; whose last words are `hold <name>` is answered once that is released."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        super().__init__(rules)
        self.gates: defaultdict[str, Gate] = defaultdict(Gate)

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        last = request.messages[-1]
        if isinstance(last, UserMessage):
            held = re.search(r"hold (\w+)$", text_of(last.parts))
            if held is not None:
                await self.gates[held[1]].passed()
        return await super().complete(request, context)


class House:
    """A gateway with a memory channel, opened and ended as often as a test likes.

    Clock, ids, model, tools and agents stay the same over all lives; the database is a file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rules: Iterable[Rule] = (),
        model: Model | None = None,
        tools: Sequence[Tool] = (),
        agents: Sequence[Agent] = (),
        able: Capabilities = DEDUPES,
        lazy: bool = False,
        models: tuple[str, ...] = ("",),
    ) -> None:
        self.clock = ManualClock()
        self.ids = SequentialIds()
        self.patient = PatientModel(rules)
        self.agents = Roster(*(agents or (agent(),)))
        self.model = model or self.patient
        self.tools = tools
        self.channels: list[MemoryChannel] = []
        """One a life, the newest last."""
        self.store: CuttableStore
        self.gateway: Gateway
        self.database = folder / "turngate.db"
        self.settings = Settings(
            workspace_dir=folder / "workspace",
            turngate_store=str(self.database),
            turngate_model="openai" if models[0] else "auto",
            llm_model=models[0],
            llm_fallback_models=models[1:],
        )
        self._able = able
        self._lazy = lazy
        self.compacting: Compacting | None = None
        self._owner = TaskOwner("house", self._failed)
        self._up = asyncio.Event()
        self._down = asyncio.Event()
        self._others: set[asyncio.Task[object]] = set()
        self.failures: list[BaseException] = []

    @property
    def channel(self) -> MemoryChannel:
        """The channel of this life."""
        return self.channels[-1]

    # --- lives -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the gateway and let its channel read."""
        self._others = asyncio.all_tasks()
        opened = await open_sqlite(self.database)
        self.store = CuttableStore(opened, lazy=self._lazy)
        self.channels.append(MemoryChannel(capabilities=self._able))
        self._up, self._down = asyncio.Event(), asyncio.Event()
        task = self._owner.start("life", self._live(), ending=Ending.FINISHABLE)
        waiting = self._owner.start("up", self._up.wait(), ending=Ending.CANCELLABLE)
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()

    async def stop(self) -> None:
        """End in order. Time passes only when nothing else can happen, so what can end does."""
        self._down.set()
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            closing = group.create_task(self._owner.close())
            while not closing.done():
                await self.store.quiet()
                await self.clock.advance(0.5)

    async def kill(self) -> None:
        """End as by `kill -9`: from now on nothing is written, nobody is told, every task ends."""
        self.store.cut()
        current = asyncio.current_task()
        dying = [task for task in asyncio.all_tasks() - self._others if task is not current]
        self.store.retire()
        for task in dying:
            task.cancel()
        await asyncio.wait(dying)
        await self._owner.join()

    async def while_alive(self, work: Coroutine[None, None, T]) -> T | None:
        """What comes of it; None when the process dies before."""
        return await self.store.while_alive(work)

    async def again(self) -> None:
        """Kill it and start it again."""
        await self.kill()
        await self.start()

    async def _live(self) -> None:
        chosen = Chosen(
            clock=self.clock,
            ids=self.ids,
            chance=seeded_chance(1),
            model=self.model,
            agents=self.agents,
            tools=self.tools,
            store=self.store,
            compacting=self.compacting,
        )
        async with open_gateway(self.settings, channels=[self.channel], chosen=chosen) as gateway:
            self.gateway = gateway
            await gateway.channels.start(self.channel.name, self.channel.account)
            self._up.set()
            await self._down.wait()

    def _failed(self, _: str, error: BaseException) -> None:
        self.failures.append(error)

    # --- time ------------------------------------------------------------------------------------

    async def quiet(self) -> None:
        """Wait until nothing can happen without time passing."""
        await self.store.quiet()

    async def wait(self, seconds: float) -> None:
        """Let time pass, once everything that is under way has come to rest."""
        await self.quiet()
        await self.clock.advance(seconds)
        await self.quiet()

    async def idle(self) -> None:
        """Wait until every turn that can end has ended and its answer has left."""
        async with asyncio.timeout(PATIENCE_S):
            await self.gateway.idle()

    # --- people ----------------------------------------------------------------------------------

    async def say(self, text: str, *parts: Part, peer: str = "ann") -> Accepted:
        """A person writes; returns with the acknowledgement."""
        return await self.send(inbound(text, *parts, peer=peer))

    async def send(self, message: Inbound) -> Accepted:
        """Any message; its refusal is raised here."""
        return await self.channel.inject(message)

    async def reached(self, *names: str) -> None:
        """Wait until the turns that hold at these gates do."""
        async with asyncio.timeout(PATIENCE_S):
            for name in names:
                await self.patient.gates[name].entered.wait()

    def release(self, *names: str) -> None:
        """Let the turns that hold at these gates go on, now and later."""
        for name in names:
            self.patient.gates[name].release()

    async def ask(self, text: str, *, peer: str = "ann") -> str:
        """A person writes and gets the answer."""
        seen = len(self.channel.sent)
        await self.say(text, peer=peer)
        await self.idle()
        (answer,) = self.channel.sent[seen:]
        return answer.text

    def seen(self) -> list[Outbound]:
        """What receivers have seen over all lives, each key once where they dedupe."""
        shown = [message for channel in self.channels for message in channel.sent]
        if not self._able.dedupes:
            return shown
        return list({message.key: message for message in shown}.values())

    # --- what is stored --------------------------------------------------------------------------

    async def input(self, turn_id: str) -> InputRow:
        (row,) = await self.store.read(GetInput(turn_id))
        return row

    async def state(self, turn_id: str) -> str:
        return (await self.input(turn_id)).state

    async def transcript(self, session: object) -> list[Message]:
        rows = await self.store.read(LoadTranscript(str(session)))
        return [messages.from_json(orjson.loads(row.body)) for row in rows if row.body]

    async def events(self, kind: str = "", *, turn_id: str = "") -> list[EventRow]:
        rows = await self.store.read(ReadEvents(0, 10_000))
        return [row for row in rows if row.kind.startswith(kind) and turn_id in ("", row.turn_id)]


def inbound(
    text: str, *parts: Part, peer: str = "ann", group: str = "", thread: str = ""
) -> Inbound:
    """A person's message on the memory channel; `dataclasses.replace` makes it special."""
    route = RouteKey("memory", peer=peer, group=group, thread=thread)
    return Inbound(route=route, parts=(Text(text), *parts), principal="local")


@asynccontextmanager
async def open_house(house: House) -> AsyncIterator[House]:
    """A started house, stopped after the block; its tasks must not have failed."""
    await house.start()
    try:
        yield house
    finally:
        await house.stop()
    assert not house.failures
