"""Which folders agents may be handed, and what stays hidden in them.

Two fences. A folder that holds something of the gateway's own is refused where it is named: at
start, or by `agents.register`. Below that, file tools open nothing that is protected, recognised by
device and inode: neither a hard link, nor another spelling on a file system that ignores case, nor
a file that appeared after the start gets around the first fence. Everything here blocks on the file
system.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from agents.base.agents import Agent, Agents
from agents.base.tools import Folder, Identity
from gateway.core.errors import InvalidInput
from gateway.core.ids import AgentId

MAX_ENTRIES = 10_000
"""Maximum number of entries of one folder that are looked through; a home has a dozen."""


@dataclass(frozen=True, slots=True)
class Protected:
    """A file or folder that no model may read, in words for people.

    With a file goes what is named after it (`-wal`, `.bak`), with a folder the files directly in
    it. `fix` says what to do when it lies in an agent's folder.
    """

    path: Path
    what: str
    fix: str


class AgentFolders:
    """The folders of the agents of one gateway. `declared` is where declared agents have theirs."""

    def __init__(
        self, workspace: Path, declared: Path, protected: Sequence[Protected], agents: Agents
    ) -> None:
        self._workspace = workspace
        self._declared = declared
        self._protected = tuple(protected)
        self._agents = agents

    def of(self, agent: Agent) -> Folder | None:
        """What the file tools of this agent may see; None for an agent without a folder."""
        if agent.directory is None:
            return None
        return Folder(agent.directory, partial(self._hidden, agent.id, agent.directory))

    def refusal(self, folder: Path, owner: AgentId) -> str:
        """Why this agent must not have this folder, with the fix; empty when it may."""
        for each in self._protected:
            if _holds(folder, each.path):
                return f"the folder {folder} holds {each.what} ({each.path}); {each.fix}"
            if _holds(each.path, folder) and not _holds(each.path, self._workspace):
                return f"the folder {folder} lies in {each.what} ({each.path}); choose another"
        for agent_id, other in self._others(owner):
            if _holds(folder, other) or _holds(other, folder):
                return (
                    f"the folder {folder} overlaps with {other}, the folder of the agent "
                    f"{agent_id!r}; give each agent a folder of its own"
                )
        return ""

    def choose(self, wanted: str, owner: AgentId) -> Path | None:
        """The folder for an agent that is added, named relative to the workspace; none by default.

        Raises `InvalidInput`, naming the parameter `workspace_dir`.
        """
        if not wanted:
            return None
        try:
            root = Path(os.path.realpath(self._workspace))
            found = Path(os.path.realpath(root / wanted))
            is_folder = found.is_dir()
        except (ValueError, OSError) as error:  # a null byte, a giant name
            raise InvalidInput("workspace_dir: not a path") from error
        if not found.is_relative_to(root):
            raise InvalidInput("workspace_dir: a folder within the workspace")
        if not is_folder:
            raise InvalidInput(
                "workspace_dir: there is no such folder in the workspace; make it first"
            )
        if found == root or _holds(found, self._declared) or _holds(self._declared, found):
            raise InvalidInput(
                f"workspace_dir: name a folder of its own, beside {self._declared.name}: the "
                "workspace itself and the folders of declared agents are not given to others"
            )
        if refusal := self.refusal(found, owner):
            raise InvalidInput(f"workspace_dir: {refusal}")
        return found

    def _others(self, owner: AgentId) -> Iterator[tuple[AgentId, Path]]:
        for agent_id in self._agents.ids():
            agent = self._agents.get(agent_id)
            if agent is not None and agent.directory is not None and agent_id != owner:
                yield agent_id, agent.directory

    def _hidden(self, owner: AgentId, own: Path) -> frozenset[Identity]:
        paths = [each.path for each in self._protected]
        # Folders of agents that could not be loaded are hidden as well.
        paths += [
            self._declared,
            *_entries(self._declared),
            *(dir for _, dir in self._others(owner)),
        ]
        mine = _identity(own)
        found = {
            known
            for path in paths
            if _identity(path) != mine
            for part in (path, *_belonging(path))
            if (known := _identity(part)) is not None
        }
        return frozenset(found - {mine})


def _belonging(path: Path) -> Iterator[Path]:
    """The files directly in a folder, or those beside a file that are named after it."""
    if path.is_dir():
        yield from (each for each in _entries(path) if each.is_file())
    else:
        yield from (each for each in _entries(path.parent) if each.name.startswith(path.name))


def _entries(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            yield from (folder / entry.name for entry in islice(entries, MAX_ENTRIES))
    except OSError:
        return


def _identity(path: Path) -> Identity | None:
    """Device and inode of what is there, through links; None for nothing."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _holds(folder: Path, path: Path) -> bool:
    """Whether `path` is this folder or lies in it, however both are spelt.

    What is not there yet counts by the folder it would be made in.
    """
    wanted = _identity(folder)
    real = Path(os.path.realpath(path))
    return wanted is not None and any(_identity(each) == wanted for each in (real, *real.parents))
