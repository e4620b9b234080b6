"""The composition root: builds a gateway from settings, starts it, and stops it in order.

The only importer of concrete adapters. Every long-lived task is started here or by the part named
in `open_gateway`: the writer (store), renew and watch (runs), one task a busy lane (turns), one a
busy destination (delivery), one a run of a task (tasks), sweep and forget (below), one reader a
channel (whoever owns it).
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import structlog

from agents.base.agents import Agents
from agents.base.models import Limits, Model
from agents.base.profiles import Keyless
from agents.base.tools import Tool
from agents.models.fetching import Fetcher, Progress
from agents.models.local import LocalModel
from agents.models.openai import OpenAIModel
from agents.models.profile import LOCAL, Profile
from agents.models.scripted import ScriptedModel
from agents.models.weights import SMOLLM2, WeightsCache
from agents.resilience.budgets import Budget, Budgeted
from agents.resilience.policy import Endpoint, Resilient
from agents.tools.catalog import TOOLS
from agents.turn import ToolLoop
from agents.workspace import DEFAULT_ID, Workspace, default_agent, load
from channels.base.channel import Channel, Terminal
from channels.stdio.channel import StdioChannel, Streams
from channels.stdio.ndjson import NdjsonDialect
from channels.stdio.plain import for_streams
from channels.websocket import WebSocketChannel
from gateway.config import OPENAI_URL, Settings
from gateway.core import home
from gateway.core.clock import Clock, SystemClock
from gateway.core.errors import ConfigError, ModelFailed, StoreUnavailable
from gateway.core.ids import AgentId, Chance, Ids, SystemIds, system_chance
from gateway.core.keys import normalise_agent_id
from gateway.core.tasks import Ending, TaskOwner
from gateway.delivery.outbox import Outbox
from gateway.events.company import Company
from gateway.events.log import EventLog
from gateway.events.previews import Previews
from gateway.events.relay import relay
from gateway.identity.credentials import Credentials
from gateway.intake.intake import Intake
from gateway.retention import forget
from gateway.routing.added import AddedRules
from gateway.routing.agents import KnownAgents
from gateway.routing.file import Routes, load_routes, read_routes
from gateway.routing.router import Router
from gateway.routing.table import Table
from gateway.running import About, Gateway
from gateway.runs.copying import Copies
from gateway.runs.declared import load_tasks
from gateway.runs.engine import Engine
from gateway.runs.functions import FunctionTask, TaskFunction
from gateway.runs.operating import Operations
from gateway.runs.queue import RunQueue
from gateway.sessions.live import MAX_LIVE, LiveSessions
from gateway.store.base.shared import SharedInspection, SharedStore
from gateway.store.base.store import Store
from gateway.store.postgres.opening import inspect_postgres, open_postgres
from gateway.store.sqlite.inspection import Inspection, inspect
from gateway.store.sqlite.store import open_sqlite
from gateway.telemetry.tasks import task_failed
from gateway.turns.boundary import Boundary
from gateway.turns.lanes import Lanes
from gateway.turns.opening import Opening, OpeningModel
from gateway.turns.profile_state import StoredProfileState
from gateway.turns.slots import TurnSlots
from gateway.turns.spending import StoredSpending
from gateway.turns.task import TurnTask
from gateway.turns.waiting import TurnWaiters
from gateway.turns.world import World, by_name

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

SHIPPED_ROUTES = Path(__file__).parent.parent / "routes.json"
"""The default route file of a checkout; an installed wheel has the same text built in."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands in for the usual parts; tests and embedders fill some in.

    `around` wraps a model that is asked alone; where there are profiles, they tell who watches.
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
    around: Callable[[Model], Model] = lambda model: model


@asynccontextmanager
async def open_gateway(
    settings: Settings, *, channels: Sequence[Channel], chosen: Chosen = Chosen()
) -> AsyncIterator[Gateway]:
    """A gateway for the length of the block.

    On entry everything an earlier process left is taken up again. On exit nothing new is accepted,
    running turns get `DRAIN_S`, the rest is kept for the next start. Channels are closed, but run
    by the caller. Raises `ConfigError`, `StoreLocked`, `SchemaMismatch` or `StoreUnavailable`.
    """
    clock = chosen.clock or SystemClock()
    ids = chosen.ids or SystemIds(clock)
    agents = KnownAgents(chosen.agents or _agents(settings))
    router = _router(settings, agents)
    declared = (
        load_tasks(settings.turngate_tasks, settings.workspace_dir)
        if chosen.tasks is None
        else dict(chosen.tasks)
    )
    async with AsyncExitStack() as stack:
        store = chosen.store or await open_store(settings, clock)
        stack.push_async_callback(store.close)
        opening = Opening()
        answering = _model(settings, clock, ids, store, _noting(chosen, opening))
        policy = answering if isinstance(answering, Resilient) else None
        budgeted = Budgeted(answering, _budget(settings), StoredSpending(store), clock.now_ms())
        model = OpeningModel(budgeted, opening)
        stack.push_async_callback(model.close)
        for channel in channels:
            stack.push_async_callback(channel.close)
        events, previews = EventLog(store), Previews()
        shared = store if isinstance(store, SharedStore) else None
        # Where others may have answered the last message, nobody remembers what was said.
        sessions = LiveSessions(store, clock, max_live=0 if shared else MAX_LIVE)
        outbox = Outbox(
            store=store,
            clock=clock,
            ids=ids,
            chance=chosen.chance or system_chance(),
            channels=channels,
            shared=shared is not None,
        )
        lanes = Lanes(store=store, clock=clock, slots=TurnSlots())
        task = TurnTask(
            store=store,
            clock=clock,
            agents=agents,
            program=ToolLoop(
                chosen.tools,
                models=_models(settings),
                limits=policy.limits if policy is not None else lambda models: Limits(),
            ),
            world=World(
                clock,
                ids,
                model,
                by_name(chosen.tools),
                previews,
                turn_s=settings.turngate_turn_seconds,
            ),
            sessions=sessions,
            boundary=Boundary(clock=clock, ids=ids, outbox=outbox),
            lanes=lanes,
        )
        engine = Engine(
            store=store,
            clock=clock,
            ids=ids,
            lease_s=settings.turngate_lease,
            chance=chosen.chance,
        )
        queue = RunQueue()
        for name, function in declared.items():
            engine.register(FunctionTask(name, function, store=store, clock=clock, queue=queue))
        operations = Operations(
            store=store, clock=clock, ids=ids, engine=engine, tasks=tuple(declared)
        )
        copies = Copies(store=store, clock=clock, ids=ids, engine=engine, operations=operations)
        intake = Intake(store=store, clock=clock, ids=ids, router=router, turns=lanes)
        upkeep = TaskOwner("upkeep", task_failed)
        credentials = Credentials(store, clock, ids)
        await events.open()
        added = AddedRules(store, clock, router, agents)
        await added.open()
        stack.push_async_callback(outbox.stop, grace_s=SEND_GRACE_S)
        await outbox.start()
        if shared is not None:
            stack.callback(shared.say, LEAVING, "")
        stack.push_async_callback(lanes.stop, grace_s=DRAIN_S)
        stack.callback(queue.stop)
        queue.start(engine)
        await lanes.start(engine, task)
        stack.push_async_callback(upkeep.close)
        upkeep.start("admit", _admit(model, lanes), ending=Ending.CANCELLABLE)
        upkeep.start("sweep", _sweep(sessions, clock), ending=Ending.ETERNAL)
        upkeep.start("forget", _forget(store, clock), ending=Ending.ETERNAL)
        if shared is not None:
            relay(shared, previews, events)
            shared.hear(LEAVING, lambda _: lanes.take_over())
            upkeep.start("adopt", _adopt(outbox, clock), ending=Ending.ETERNAL)
            upkeep.start(
                "refresh",
                _refresh(credentials, added, policy, budgeted, clock),
                ending=Ending.ETERNAL,
            )
            if policy is not None:
                company = Company(shared, clock, ids.new("p"))
                upkeep.start("greet", _greet(company, policy, clock), ending=Ending.ETERNAL)
        stack.push_async_callback(intake.close)
        log.info("gateway.ready", agents=list(agents.ids()), model=settings.answering)
        yield Gateway(
            about=_about(settings, clock),
            clock=clock,
            ids=ids,
            store=store,
            credentials=credentials,
            agents=agents,
            router=router,
            added=added,
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
            waiters=TurnWaiters(store),
            profiles=policy or _keyless(settings),
            opening=opening,
        )
        log.info("gateway.stopping", turns=engine.executing)


def _noting(chosen: Chosen, opening: Opening) -> Chosen:
    """The same; whoever fetches weights says so in the status too."""

    def progress(done: int, total: int) -> None:
        opening.fetched(done, total)
        if chosen.progress is not None:
            chosen.progress(done, total)

    return replace(chosen, progress=progress)


def _about(settings: Settings, clock: Clock) -> About:
    return About(
        version("turngate"),
        settings.answering,
        settings.workspace_dir,
        clock.monotonic(),
        "" if settings.uses_openai else who_answers(settings),
    )


async def open_store(settings: Settings, clock: Clock) -> Store:
    """The store of the settings; raises what `open_gateway` raises."""
    strict = settings.turngate_durability == "strict"
    if settings.postgres_url:
        home.make(settings.turngate_home)  # its token and its address are kept there
        return await open_postgres(settings.postgres_url, clock=clock, strict=strict)
    database = settings.database
    if database is not None:
        home.make(settings.turngate_home)
    return await open_sqlite(database, strict=strict)


def _agents(settings: Settings) -> Agents:
    workspace = load(settings.workspace_dir)
    for problem in workspace.problems:
        log.warning("workspace.problem", path=problem.path, problem=problem.message)
    if workspace.get(DEFAULT_ID) is not None or _is_broken(DEFAULT_ID, workspace):
        return workspace
    # Nobody declared the agent that answers by default: a first conversation needs it all the same.
    with suppress(OSError):  # its tools will say that the folder is missing
        settings.workspace_dir.mkdir(parents=True, exist_ok=True)
    declared = [agent for agent in map(workspace.get, workspace.ids()) if agent is not None]
    return Workspace([*declared, default_agent(settings.workspace_dir)], workspace.problems)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a workspace declares, read without starting anything."""

    agents: tuple[AgentId, ...]
    routes: str
    problems: tuple[str, ...]


def read_workspace(settings: Settings) -> Declared:
    """Agents, the route file that counts, and everything a start would warn of.

    Raises `ConfigError` for a route file that would be refused.
    """
    workspace = load(settings.workspace_dir)
    known = workspace.ids() or (DEFAULT_ID,)
    routes = _routes(settings)
    problems = [f"{problem.path}: {problem.message}" for problem in workspace.problems]
    found = (*routes.warnings, *_table(routes, known).problems())
    problems += [f"{routes.file} at {problem.path}: {problem.message}" for problem in found]
    return Declared(workspace.ids(), routes.file, tuple(problems))


def inspect_database(path: Path) -> Inspection:
    """A database file as it looks from outside; raises `SchemaMismatch`, `StoreUnavailable`."""
    return inspect(path)


async def inspect_shared(url: str, clock: Clock) -> SharedInspection:
    """A PostgreSQL database as it looks from here; changes nothing.

    Raises `SchemaMismatch`, `ConfigError` or `StoreUnavailable`.
    """
    return await inspect_postgres(url, clock)


def _is_broken(agent_id: AgentId, workspace: Workspace) -> bool:
    """Whether a folder declares this agent and could not be read: nobody else answers for it."""
    folders = {part for problem in workspace.problems for part in problem.path.parts}
    return agent_id in map(normalise_agent_id, folders)


def _router(settings: Settings, agents: Agents) -> Router:
    routes = _routes(settings)
    table = _table(routes, agents.ids())
    for problem in (*routes.warnings, *table.problems()):
        log.warning("routes.problem", path=problem.path, problem=problem.message)
    return Router(table, agents, routes.identities)


def _table(routes: Routes, agents: Iterable[AgentId]) -> Table:
    return Table.build(
        routes.bindings,
        (),
        agents=agents,
        default_agent=routes.default_agent,
        file=routes.file,
    )


def _keyless(settings: Settings) -> Keyless:
    if settings.provider == "local":
        return Keyless(settings.answering, window=LocalModel.window, tools=LocalModel.tools)
    return Keyless(settings.answering)


def _routes(settings: Settings) -> Routes:
    if SHIPPED_ROUTES.exists() or (settings.workspace_dir / "routes.json").exists():
        return read_routes(settings.workspace_dir, SHIPPED_ROUTES)
    return load_routes('{"default_agent": "main", "bindings": []}', "built in")


def _model(settings: Settings, clock: Clock, ids: Ids, store: Store, chosen: Chosen) -> Model:
    if chosen.model is not None:
        return chosen.model if isinstance(chosen.model, Resilient) else chosen.around(chosen.model)
    if settings.provider == "scripted":
        return chosen.around(ScriptedModel())
    if settings.provider == "local":
        weights = local_weights(settings)
        return chosen.around(LocalModel(weights, clock, ids, progress=chosen.progress))
    endpoints = [Endpoint(profile, OpenAIModel(profile)) for profile in profiles(settings)]
    if LOCAL in settings.llm_fallback_models:
        local = LocalModel(local_weights(settings), clock, ids, progress=chosen.progress)
        # It fits each request into its small window by itself, and is at no address.
        inside = Profile("http://localhost", "", LOCAL, LOCAL, models=(LOCAL,), tools=local.tools)
        endpoints.append(Endpoint(replace(inside, images=local.images, shortens=True), local))
    return Resilient(
        endpoints,
        clock=clock,
        state=StoredProfileState(store, clock),
        strategy=settings.turngate_profile_strategy,
        models=_models(settings),
    )


def who_answers(settings: Settings) -> str:
    """What people should know of the model, in a sentence or two."""
    if settings.provider == "local":
        who = f"The small local model {SMOLLM2.name} answers: real, but not clever."
    elif settings.provider == "scripted":
        who = "The scripted model answers: no key, no network, no thought."
    else:
        return f"{settings.llm_model} answers."
    return f"{who} For a better one set LLM_BASE_URL, LLM_MODEL and LLM_API_KEY."


def local_weights(settings: Settings) -> Fetcher:
    """The weights of the local model in this machine's cache, and how to get them there."""
    return Fetcher(WeightsCache(settings.cache / "models"), SystemClock())


def _budget(settings: Settings) -> Budget:
    return Budget(
        turn_calls=settings.turngate_turn_calls,
        turn_tokens=settings.turngate_turn_tokens,
        root_tokens=settings.turngate_root_tokens,
        session_day_tokens=settings.turngate_session_day_tokens,
        agent_day_tokens=settings.turngate_agent_day_tokens,
        day_tokens=settings.turngate_day_tokens,
    )


def _models(settings: Settings) -> tuple[str, ...]:
    """The order in which models are tried for agents that name none."""
    return (settings.answering, *settings.llm_fallback_models)


def profiles(settings: Settings) -> tuple[Profile, ...]:
    """The keys of these settings in order, each bound to its address; one key is there once."""
    shared = settings.llm_base_url or OPENAI_URL
    key, window = settings.model_key, settings.llm_context_window
    found = [Profile(shared, key, settings.llm_model, window=window)]
    if settings.llm_keys and not key:
        found.clear()
    found += [
        Profile(
            numbered.base_url or shared,
            numbered.api_key.get_secret_value(),
            settings.llm_model,
            name=f"key-{numbered.number}",
            models=numbered.models,
            tools=numbered.tools,
            images=numbered.images,
            window=numbered.context_window or window,
        )
        for numbered in settings.llm_keys
    ]
    unique: dict[tuple[str, ...], Profile] = {}
    for profile in found:
        unique.setdefault((profile.base_url, profile.api_key, *profile.models), profile)
    return tuple(unique.values())


def client_channel() -> Channel:
    """The channel of everybody who speaks JSON-RPC; the network surface carries it."""
    return WebSocketChannel()


def open_terminal(*, as_json: bool) -> Terminal:
    """The channel over this process's own streams."""
    streams = Streams(sys.stdin, sys.stdout, sys.stderr)
    dialect = NdjsonDialect() if as_json else for_streams(sys.stdin, sys.stdout, os.environ)
    return StdioChannel(streams, dialect, clock=SystemClock(), on_failure=task_failed)


async def _admit(model: Model, lanes: Lanes) -> None:
    """Importing a client or loading weights takes seconds; messages are accepted meanwhile."""
    try:
        await model.open()
    except ModelFailed as error:
        log.error("model.not_opened", reason=str(error))
    except Exception:  # a boundary: turns that fail with a sentence are better than silence
        log.exception("model.not_opened")
    lanes.admit()


async def _sweep(sessions: LiveSessions, clock: Clock) -> None:
    while True:
        await clock.sleep(SWEEP_S)
        sessions.sweep()


async def _forget(store: Store, clock: Clock) -> None:
    while True:
        await clock.sleep(FORGET_S)
        try:
            await forget(store, clock)
        except StoreUnavailable as error:
            log.warning("retention.put_off", reason=str(error))


async def _adopt(outbox: Outbox, clock: Clock) -> None:
    while True:
        await clock.sleep(ADOPT_S)
        try:
            await outbox.adopt()
        except StoreUnavailable as error:
            log.warning("delivery.adopt_put_off", reason=str(error))


async def _refresh(
    credentials: Credentials,
    added: AddedRules,
    policy: Resilient | None,
    budgeted: Budgeted,
    clock: Clock,
) -> None:
    """What other processes have changed, learnt or used: who may come in, rules, agents, keys."""
    while True:
        await clock.sleep(REFRESH_S)
        try:
            await credentials.refresh()
            await added.open()
            if policy is not None:
                await policy.standings.load()
            await budgeted.refresh(clock.now_ms())
        except (StoreUnavailable, ConfigError) as error:
            log.warning("refresh.put_off", reason=str(error))


async def _greet(company: Company, policy: Resilient, clock: Clock) -> None:
    """Limits of a key are shared by all processes that use it."""
    while True:
        policy.processes = company.greet()
        await clock.sleep(REFRESH_S)
