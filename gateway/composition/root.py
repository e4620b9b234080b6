"""The composition root: builds a gateway from settings, starts it, and stops it in order.

With its neighbours in this package the only importer of concrete adapters. Every
long-lived task is started here or by the part named in `open_gateway`: the writer (store), renew
and watch (runs), one task a busy lane (turns), one a busy destination (delivery), one a run of a
task (tasks), those of `_start`, one reader a channel that was started (hosting).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import structlog

from agents.base.agents import Agents
from agents.base.models import Model
from agents.base.tools import Tool
from agents.models.fetching import Progress
from agents.tools.catalog import TOOLS
from agents.turn import ToolLoop
from channels.base.channel import Channel
from gateway.commands.catalog import COMMANDS
from gateway.commands.desk import Desk
from gateway.composition.answering import Answering, answering, models, who_answers
from gateway.composition.store import open_store
from gateway.composition.upkeep import admit, every, greet, keep_for, refresh
from gateway.composition.workspace import agent_folders, declared_agents, declared_router
from gateway.conversations.conversations import conversations
from gateway.core.clock import Clock, SystemClock
from gateway.core.ids import Chance, Ids, SystemIds, system_chance
from gateway.core.tasks import Ending, TaskOwner
from gateway.delivery.fetched import FetchedAnswers
from gateway.delivery.operating import Deliveries
from gateway.delivery.outbox import Outbox
from gateway.events.company import Company
from gateway.events.log import EventLog
from gateway.events.previews import Previews
from gateway.events.relay import relay
from gateway.hosting.host import ChannelHost
from gateway.identity.credentials import Credentials
from gateway.intake.intake import Intake
from gateway.retention import Keep, forget
from gateway.routing.added import AddedRules
from gateway.routing.agents import KnownAgents
from gateway.running import About, Gateway
from gateway.runs.copying import Copies
from gateway.runs.declared import load_tasks
from gateway.runs.engine import Engine
from gateway.runs.functions import FunctionTask, TaskFunction
from gateway.runs.gate import UNBOUNDED
from gateway.runs.operating import Operations
from gateway.runs.queue import RunQueue
from gateway.sessions.live import MAX_LIVE, LiveSessions
from gateway.settings.settings import Settings
from gateway.store.base.shared import SharedStore
from gateway.store.base.store import Store
from gateway.telemetry.health import Health
from gateway.telemetry.tasks import task_failed
from gateway.turns.boundary import Boundary
from gateway.turns.lanes import Lanes
from gateway.turns.slots import SlotRules, TurnSlots
from gateway.turns.task import TurnTask
from gateway.turns.world import Compacting, World, by_name

DRAIN_S = 20.0
"""How long running turns may go on after the gateway was told to stop."""
SEND_GRACE_S = 5.0
"""How long sends under way may go on after that."""
SWEEP_S = 60.0
FORGET_S = 3600.0
REFRESH_S = 2.0
"""How soon a credential revoked at one process is refused by all."""
ADOPT_S = 5.0
"""How often deliveries that a dead process has left are looked for."""
LEAVING = "leaving"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands in for the usual parts; tests and embedders fill some in.

    `compacting` sees the beginning of a conversation before a summary stands for it.
    """

    clock: Clock | None = None
    ids: Ids | None = None
    chance: Chance | None = None
    model: Model | None = None
    agents: Agents | None = None
    tools: Sequence[Tool] = TOOLS
    tasks: Mapping[str, TaskFunction] | None = None
    store: Store | None = None
    progress: Progress | None = None
    compacting: Compacting | None = None


@asynccontextmanager
async def open_gateway(
    settings: Settings, *, channels: Sequence[Channel], chosen: Chosen = Chosen()
) -> AsyncIterator[Gateway]:
    """A gateway for the length of the block.

    On entry everything an earlier process left is taken up again. On exit nothing new is accepted,
    running turns get `DRAIN_S`, the rest is kept for the next start. Channels read once `channels`
    of the gateway is told to start them. Raises `ConfigError`, `StoreLocked`, `SchemaMismatch` or
    `StoreUnavailable`.
    """
    clock = chosen.clock or SystemClock()
    ids = chosen.ids or SystemIds(clock)
    chance = chosen.chance or system_chance()
    agents = KnownAgents(
        chosen.agents or declared_agents(settings, [*by_name(chosen.tools)]),
        settings.workspace_dir.resolve(),
    )
    folders = agent_folders(settings, agents)
    router = declared_router(settings, agents)
    declared = _tasks(settings, chosen)
    async with AsyncExitStack() as stack:
        store = chosen.store or await open_store(settings, clock)
        stack.push_async_callback(store.close)
        answers = answering(
            settings,
            clock,
            ids,
            store,
            given=chosen.model,
            progress=chosen.progress,
        )
        stack.push_async_callback(answers.model.close)
        events, previews = EventLog(store), Previews()
        shared = store if isinstance(store, SharedStore) else None
        # Where others may have answered the last message, nobody remembers what was said.
        sessions = LiveSessions(store, clock, max_live=0 if shared else MAX_LIVE)
        outbox = Outbox(
            store=store,
            clock=clock,
            ids=ids,
            chance=chance,
            channels=channels,
            shared=shared is not None,
        )
        lanes = Lanes(store=store, clock=clock, slots=_slots(settings, clock))
        world = World(
            clock,
            ids,
            answers.model,
            by_name(chosen.tools),
            previews,
            turn_s=settings.turngate_turn_seconds,
            compacting=chosen.compacting,
            folder_of=folders.of,
        )
        task = TurnTask(
            store=store,
            agents=agents,
            program=ToolLoop(chosen.tools, models=models(settings), limits=answers.limits),
            world=world,
            sessions=sessions,
            boundary=Boundary(clock=clock, ids=ids, outbox=outbox),
            lanes=lanes,
        )
        lease_s = settings.turngate_lease
        engine = Engine(store=store, clock=clock, ids=ids, lease_s=lease_s, chance=chosen.chance)
        queue = RunQueue()
        for name, function in declared.items():
            engine.register(FunctionTask(name, function, store=store, clock=clock, queue=queue))
        operations = Operations(
            store=store, clock=clock, ids=ids, engine=engine, tasks=tuple(declared)
        )
        copies = Copies(store=store, clock=clock, ids=ids, engine=engine, operations=operations)
        intake = Intake(store=store, clock=clock, ids=ids, router=router, turns=lanes)
        host = ChannelHost(channels, intake=intake, outbox=outbox, clock=clock, chance=chance)
        stack.push_async_callback(host.close)
        gateway = Gateway(
            about=_about(settings, clock),
            health=Health(clock),
            clock=clock,
            ids=ids,
            store=store,
            credentials=Credentials(store, clock, ids),
            agents=agents,
            folders=folders,
            router=router,
            added=AddedRules(store, clock, router, agents),
            log=events,
            previews=previews,
            sessions=sessions,
            intake=intake,
            lanes=lanes,
            engine=engine,
            tasks=queue,
            operations=operations,
            copies=copies,
            outbox=outbox,
            channels=host,
            deliveries=Deliveries(store, clock, outbox),
            fetched=FetchedAnswers(store.post, clock),
            conversations=conversations(
                store=store,
                clock=clock,
                ids=ids,
                router=router,
                intake=intake,
                lanes=lanes,
                live=sessions,
                log=events,
            ),
            profiles=answers.profiles,
            opening=answers.opening,
        )
        desk = Desk(gateway, COMMANDS)
        intake.obey(desk)
        task.commanding.obey(desk)
        await _start(stack, gateway, task, answers, keep_for(settings))
        log.info("gateway.ready", agents=list(agents.ids()), model=settings.answering)
        yield gateway
        log.info("gateway.stopping", turns=engine.executing)


async def _start(
    stack: AsyncExitStack, gateway: Gateway, task: TurnTask, answers: Answering, keep: Keep
) -> None:
    """Take up what is open; `stack` stops it all in the opposite order."""
    store, clock, lanes = gateway.store, gateway.clock, gateway.lanes
    await gateway.log.open()
    await gateway.added.open()
    stack.push_async_callback(gateway.outbox.stop, grace_s=SEND_GRACE_S)
    await gateway.outbox.start()
    shared = store if isinstance(store, SharedStore) else None
    if shared is not None:
        stack.callback(shared.say, LEAVING, "")
    stack.push_async_callback(lanes.stop, grace_s=DRAIN_S)
    stack.callback(gateway.tasks.stop)
    gateway.tasks.start(gateway.engine)
    await lanes.start(gateway.engine, task)
    upkeep = TaskOwner("upkeep", task_failed)
    stack.push_async_callback(upkeep.close)
    upkeep.start("admit", admit(answers.model, lanes), ending=Ending.CANCELLABLE)
    upkeep.start("introduce", answers.introduce(), ending=Ending.CANCELLABLE)
    repeat = partial(every, upkeep, clock)
    repeat("sweep", SWEEP_S, gateway.sessions.sweep)
    repeat("forget", FORGET_S, partial(forget, store, clock, keep))
    if shared is not None:
        relay(shared, gateway.previews, gateway.log)
        shared.hear(LEAVING, lambda _: lanes.take_over())
        repeat("adopt", ADOPT_S, gateway.outbox.adopt)
        repeat("refresh", REFRESH_S, partial(refresh, gateway, answers))
        if answers.policy is not None:
            company = Company(shared, clock, gateway.ids.new("p"))
            greet(company, answers.policy)
            repeat("greet", REFRESH_S, partial(greet, company, answers.policy))
    stack.push_async_callback(gateway.intake.close)
    stack.push_async_callback(gateway.conversations.close)
    stack.push_async_callback(gateway.channels.silence)


def _tasks(settings: Settings, chosen: Chosen) -> dict[str, TaskFunction]:
    """The durable tasks of the operator, by name."""
    if chosen.tasks is not None:
        return dict(chosen.tasks)
    return load_tasks(settings.turngate_tasks, settings.workspace_dir)


def _slots(settings: Settings, clock: Clock) -> TurnSlots:
    """What turns have to share, as the settings bound it."""
    turns = settings.turngate_turns or UNBOUNDED
    return TurnSlots(clock, SlotRules(turns=turns, memory=settings.turngate_turn_memory << 20))


def _about(settings: Settings, clock: Clock) -> About:
    return About(
        version("turngate"),
        settings.answering,
        settings.workspace_dir,
        clock.monotonic(),
        "" if settings.uses_openai else " ".join(who_answers(settings)),
    )
