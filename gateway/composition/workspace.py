"""What the workspace declares in files: agents, and rules for who of them answers.

A part of the composition root: read once at start, and by commands that start nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from agents.base.agents import Agents
from agents.misplaced import misplaced
from agents.workspace import AGENTS_DIR, DEFAULT_ID, Workspace, default_agent, load
from gateway.core.errors import ConfigError
from gateway.core.ids import AgentId
from gateway.routing.file import FILE_NAME, Routes, load_routes, read_routes
from gateway.routing.folders import AgentFolders, Protected
from gateway.routing.router import Router
from gateway.routing.table import Table
from gateway.settings.settings import Settings, secret_files
from gateway.settings.sources import DOTENV, TOML

SHIPPED_ROUTES = Path(__file__).parent.parent / "routes.json"
"""The default route file of a checkout; an installed wheel has the same text built in."""

log = structlog.get_logger(__name__)


def declared_agents(settings: Settings, tools: Collection[str]) -> Agents:
    """The agents of the workspace, and a plain one where the default is not declared.

    There is no plain one where every declared agent is broken: it would answer in their place.
    `tools` are the names an agent may deny itself.
    Raises `ConfigError` when the folder of an agent holds something no model may read.
    """
    workspace = load(settings.workspace_dir, tools)
    for problem in (*workspace.problems, *misplaced(settings.workspace_dir)):
        log.warning("workspace.problem", path=problem.path, problem=problem.message)
    broken = workspace.broken
    if workspace.get(DEFAULT_ID) or DEFAULT_ID in broken or (broken and not workspace.ids()):
        _refuse_folders(settings, workspace)
        return workspace
    # Nobody declared the agent that answers by default: a first conversation needs it all the same.
    folder = settings.workspace_dir.resolve() / AGENTS_DIR / DEFAULT_ID
    with suppress(OSError):  # its tools will say that the folder is missing
        folder.mkdir(parents=True, exist_ok=True)
    completed = Workspace([*workspace.all(), default_agent(folder)], workspace.problems)
    _refuse_folders(settings, completed)
    return completed


def agent_folders(settings: Settings, agents: Agents) -> AgentFolders:
    """What agents may be handed as a folder: nothing that holds what is the gateway's own."""
    workspace = settings.workspace_dir.absolute()
    here = Path.cwd()
    home = settings.turngate_home.absolute()
    elsewhere = "set {} to a place outside of it"
    protected = [
        Protected(home, "the home of the gateway", elsewhere.format("TURNGATE_HOME")),
        *(
            Protected(here / name, "the settings", "start turngate in another folder")
            for name in (DOTENV, TOML)
        ),
        *(
            Protected(path.absolute(), "a secret", elsewhere.format(name))
            for name, path in secret_files().items()
        ),
        Protected(workspace / FILE_NAME, "the routes", "take it out of there"),
    ]
    if settings.database is not None:
        database = settings.database.absolute()
        protected.append(Protected(database, "the database", elsewhere.format("TURNGATE_STORE")))
    if settings.turngate_tls_key is not None:
        key = settings.turngate_tls_key.absolute()
        protected.append(Protected(key, "a private key", elsewhere.format("TURNGATE_TLS_KEY")))
    return AgentFolders(workspace, workspace / AGENTS_DIR, protected, agents)


def _refuse_folders(settings: Settings, workspace: Workspace) -> None:
    folders = agent_folders(settings, workspace)
    for agent in workspace.all():
        if agent.directory is not None and (why := folders.refusal(agent.directory, agent.id)):
            raise ConfigError(f"the agent {agent.id!r} cannot have its folder: {why}")


@dataclass(frozen=True, slots=True)
class Declared:
    """What a workspace declares, read without starting anything."""

    agents: tuple[AgentId, ...]
    routes: str
    problems: tuple[str, ...]
    broken: frozenset[AgentId]


def read_workspace(settings: Settings) -> Declared:
    """Agents, the route file that counts, and everything a start would warn of.

    Raises `ConfigError` for a route file, or a folder of an agent, that would be refused.
    """
    workspace = load(settings.workspace_dir)
    _refuse_folders(settings, workspace)
    known = workspace.ids() or (DEFAULT_ID,)
    routes = _routes(settings)
    noticed = (*workspace.problems, *misplaced(settings.workspace_dir))
    problems = [f"{problem.path}: {problem.message}" for problem in noticed]
    found = (*routes.warnings, *_table(routes, known).problems())
    problems += [f"{routes.file} at {problem.path}: {problem.message}" for problem in found]
    return Declared(workspace.ids(), routes.file, tuple(problems), workspace.broken)


def declared_router(settings: Settings, agents: Agents) -> Router:
    """Routes by the rules of the route file that counts; raises `ConfigError` for a bad one."""
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


def _routes(settings: Settings) -> Routes:
    if SHIPPED_ROUTES.exists() or (settings.workspace_dir / FILE_NAME).exists():
        return read_routes(settings.workspace_dir, SHIPPED_ROUTES)
    return load_routes('{"default_agent": "main", "bindings": []}', "built in")
