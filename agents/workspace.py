"""Agents declared in a workspace: one folder below `.agents` each.

A folder is an agent if and only if it holds `AGENT.md`: optional front matter with the settings,
then the identity. `TOOLS.md` beside it is guidance on tools. What is wrong is reported with its
path, and that agent alone is left out; a misspelt setting counts as wrong, because ignoring
`denied_tool`, or a tool in it that does not exist, would hand the tools out. Nothing is read
through links that leave the workspace. Blocks on the file system: call it in a thread.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from agents import frontmatter
from agents.base import identities
from agents.base.agents import Agent
from agents.settings import AgentSettings
from agents.tools.catalog import TOOLS
from gateway.core.ids import AgentId
from gateway.core.keys import normalise_agent_id
from gateway.core.suggestions import did_you_mean
from gateway.wire.problems import in_words

AGENTS_DIR = ".agents"
AGENT_FILE = "AGENT.md"
TOOLS_FILE = "TOOLS.md"

TOOL_NAMES = tuple(tool.spec.name for tool in TOOLS)

MAX_FILE_CHARS = 20_000
"""Of one file, in the prompt; more is instructions nobody follows and tokens everybody pays."""

CUT_MARKER = "\n\n[the rest of {name} is left out: it has more than {limit} characters]"

MAX_AGENTS = 1000
"""Most folders looked at; a workspace with more is a folder of something else."""

DEFAULT_ID = AgentId("main")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the workspace that is wrong, and what to do about it.

    `agent` is the one that is left out because of it; empty when none is.
    """

    path: Path
    message: str
    agent: AgentId | None = None


class Workspace:
    """What a workspace declares, as it was when it was read; an `Agents`."""

    def __init__(self, agents: Iterable[Agent], problems: Iterable[Problem] = ()) -> None:
        self._agents = {agent.id: agent for agent in sorted(agents, key=lambda agent: agent.id)}
        self.problems = tuple(problems)
        self.broken = frozenset(each.agent for each in self.problems if each.agent)
        """Agents that were declared and left out."""

    def get(self, agent_id: AgentId) -> Agent | None:
        """The agent of that id, spelt as people spell it: `LUNA` finds `luna`."""
        return self._agents.get(agent_id) or self._agents.get(normalise_agent_id(agent_id))

    def ids(self) -> tuple[AgentId, ...]:
        """Every agent, in order."""
        return tuple(self._agents)

    def all(self) -> tuple[Agent, ...]:
        """The agents themselves, in order of their ids."""
        return tuple(self._agents.values())


def default_agent(directory: Path | None) -> Agent:
    """The agent there is when nobody declared one."""
    return _with_revision(
        Agent(DEFAULT_ID, name="main", identity=identities.DEFAULT, directory=directory)
    )


def load(root: Path, tools: Collection[str] = TOOL_NAMES) -> Workspace:
    """Read the workspace; a missing one holds no agents. Never raises for what is in it.

    `tools` are the names an agent may deny itself.
    """
    problems: list[Problem] = []
    found: dict[AgentId, list[Path]] = defaultdict(list)
    for folder in _folders(root, problems):
        agent_id = normalise_agent_id(folder.name)
        if agent_id:
            found[agent_id].append(folder)
        else:
            message = "the folder's name holds no letter or digit; rename it"
            problems.append(Problem(folder, message))
    agents: list[Agent] = []
    for agent_id, folders in found.items():
        if len(folders) > 1:
            names = ", ".join(repr(folder.name) for folder in folders)
            message = f"the folders {names} are all the agent {agent_id!r}; rename all but one"
            problems += [Problem(folder, message, agent_id) for folder in folders]
            continue
        try:
            agents.append(_read_agent(agent_id, folders[0], root.resolve(), tools))
        except _Wrong as wrong:
            problems.append(Problem(wrong.path, wrong.message, agent_id))
        except OSError as error:
            why = f"the folder cannot be read: {_why(error)}"
            problems.append(Problem(folders[0], why, agent_id))
    linked = {agent_id for agent_id in found if found[agent_id][0].is_symlink()}
    overlapping = {agent.id: why for agent in agents if (why := _overlap(agent, agents, root))}
    wrong_links = {id: why for id, why in overlapping.items() if id in linked}
    problems += [Problem(found[id][0], why, id) for id, why in wrong_links.items()]
    return Workspace((agent for agent in agents if agent.id not in wrong_links), problems)


def _overlap(agent: Agent, agents: Iterable[Agent], root: Path) -> str:
    """Why a link must not be this agent's folder: its file tools would see what others own."""
    folder = agent.directory
    if folder is None:
        return ""
    if (root / AGENTS_DIR).resolve().is_relative_to(folder):
        return f"it is a link to {folder}, which holds all agents; give it a folder of its own"
    for other in agents:
        if other.id == agent.id or other.directory is None:
            continue
        if folder.is_relative_to(other.directory) or other.directory.is_relative_to(folder):
            return (
                f"it is a link to {folder}, which overlaps with the folder of the agent "
                f"{other.id!r}; give it a folder of its own"
            )
    return ""


class _Wrong(Exception):
    """This agent cannot be loaded."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


def _folders(root: Path, problems: list[Problem]) -> list[Path]:
    """Every folder with an AGENT.md that lies within the workspace, in order of name."""
    parent = root / AGENTS_DIR
    try:
        inside = root.resolve(strict=True)
        names = sorted(os.listdir(parent))
    except FileNotFoundError:
        return []
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        problems.append(Problem(parent, f"the folder cannot be read: {_why(error)}"))
        return []
    if len(names) > MAX_AGENTS:
        message = f"only the first {MAX_AGENTS} of {len(names)} entries are looked at"
        problems.append(Problem(parent, message))
    folders: list[Path] = []
    for folder in (parent / name for name in names[:MAX_AGENTS]):
        try:
            if not (folder / AGENT_FILE).is_file():
                continue
            real = (folder / AGENT_FILE).resolve(strict=True)
        except (OSError, RuntimeError) as error:
            why = f"the folder cannot be read: {_why(error)}"
            problems.append(Problem(folder, why, normalise_agent_id(folder.name)))
            continue
        if not real.is_relative_to(inside):
            message = f"it is a link that leaves the workspace, to {real}; move the files inside"
            problems.append(Problem(folder, message, normalise_agent_id(folder.name)))
            continue
        folders.append(folder)
    return folders


def _read_agent(agent_id: AgentId, folder: Path, root: Path, tools: Collection[str]) -> Agent:
    path = folder / AGENT_FILE
    text = _read(path)
    try:
        document = frontmatter.parse(text)
        settings = AgentSettings.model_validate(document.values)
    except frontmatter.FrontMatterError as error:
        raise _Wrong(path, str(error)) from error
    except ValidationError as error:
        raise _Wrong(path, in_words(AgentSettings, error, noun="setting")) from error
    for name in settings.denied_tools:
        if name not in tools:
            message = f"denied_tools: there is no tool {name!r}; {did_you_mean(name, tools)}"
            raise _Wrong(path, message)
    # A file of front matter alone is an identity that looks like one.
    identity = document.body if document.body.strip() else text
    if not identity.strip():
        raise _Wrong(path, "the file is empty; write who the agent is")
    return _with_revision(
        Agent(
            id=agent_id,
            name=settings.name or os.fsencode(folder.name).decode("utf-8", "replace"),
            identity=_cut(identity, AGENT_FILE),
            directory=folder.resolve(),
            guidance=_guidance(folder, root),
            model=settings.model,
            fallback_models=settings.fallback_models,
            dm_scope=settings.dm_scope,
            denied_tools=frozenset(settings.denied_tools),
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
        )
    )


def _guidance(folder: Path, root: Path) -> str:
    path = folder / TOOLS_FILE
    if not path.is_file():
        return ""
    if not path.resolve().is_relative_to(root):
        raise _Wrong(path, "it is a link that leaves the workspace; move the file inside")
    return _cut(_read(path), TOOLS_FILE)


def _read(path: Path) -> str:
    """The text of a file, and a little more than the limit at most."""
    try:
        with path.open("rb") as file:
            data = file.read(4 * MAX_FILE_CHARS + 4)  # no character takes more than four bytes
    except OSError as error:
        raise _Wrong(path, f"the file cannot be read: {_why(error)}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.end == len(data) and len(data) > 4 * MAX_FILE_CHARS:
            return data[: error.start].decode("utf-8-sig")  # the last character was cut in two
        raise _Wrong(path, f"the file is not UTF-8 text (byte {error.start})") from error


def _cut(text: str, name: str) -> str:
    if len(text) <= MAX_FILE_CHARS:
        return text
    return text[:MAX_FILE_CHARS] + CUT_MARKER.format(name=name, limit=MAX_FILE_CHARS)


def _with_revision(agent: Agent) -> Agent:
    """A hash over everything a turn is prepared from, the same in every process."""
    facts = [
        agent.id,
        agent.name,
        agent.identity,
        agent.guidance,
        agent.model,
        agent.fallback_models,
        agent.dm_scope,
        sorted(agent.denied_tools),
        agent.max_tokens,
        agent.temperature,
    ]
    digest = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return replace(agent, revision=digest[:16])


def _why(error: Exception) -> str:
    return error.strerror or "" if isinstance(error, OSError) else "links in a circle"
