"""What the workspace declares in files: agents, and rules for who of them answers.

A part of the composition root: read once at start, and by commands that start nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from agents.base.agents import Agents
from agents.workspace import DEFAULT_ID, Workspace, default_agent, load
from gateway.config import Settings
from gateway.core.ids import AgentId
from gateway.core.keys import normalise_agent_id
from gateway.routing.file import Routes, load_routes, read_routes
from gateway.routing.router import Router
from gateway.routing.table import Table

SHIPPED_ROUTES = Path(__file__).parent.parent / "routes.json"
"""The default route file of a checkout; an installed wheel has the same text built in."""

log = structlog.get_logger(__name__)


def declared_agents(settings: Settings) -> Agents:
    """The agents of the workspace, and a plain one where nobody declared the default."""
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


def _is_broken(agent_id: AgentId, workspace: Workspace) -> bool:
    """Whether a folder declares this agent and could not be read: nobody else answers for it."""
    folders = {part for problem in workspace.problems for part in problem.path.parts}
    return agent_id in map(normalise_agent_id, folders)


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
    if SHIPPED_ROUTES.exists() or (settings.workspace_dir / "routes.json").exists():
        return read_routes(settings.workspace_dir, SHIPPED_ROUTES)
    return load_routes('{"default_agent": "main", "bindings": []}', "built in")
