"""The seam to tools: what an agent can do, with the effect each call has on the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from agents.base.agents import Agent
from agents.base.models import ToolSpec
from gateway.core.clock import Clock
from gateway.core.ids import AgentId

TOOL_TIMEOUT_S = 120.0
"""Longest a tool may take unless it declares otherwise; a person has given up by then."""

MAX_RESULT_CHARS = 1 << 18
"""Longest text of one result: as much as the longest file that is read in one go."""
CUT = "\n[cut here; {chars} more characters are more than one result may have]"


class Effect(StrEnum):
    """What happens when a call is made twice because a crash hid that it was made once."""

    PURE = "pure"
    """Nothing in the world changes; made again freely."""
    IDEMPOTENT = "idempotent"
    """The second call with the same key changes nothing; made again with that key."""
    UNSAFE = "unsafe"
    """The world would change twice; an operator decides instead."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model gets to read."""

    text: str
    is_error: bool = False

    def cut(self) -> ToolResult:
        """The same, no longer than a result may be."""
        over = len(self.text) - MAX_RESULT_CHARS
        if over <= 0:
            return self
        return replace(self, text=self.text[:MAX_RESULT_CHARS] + CUT.format(chars=over))


Identity = tuple[int, int]
"""Device and inode: which file it is, under whatever name or hard link it was reached."""


def _nothing() -> frozenset[Identity]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class Folder:
    """What file tools may see: everything below `root` except what `hidden` returns.

    `hidden` looks at the file system at each call and blocks on it: call it in a thread.
    """

    root: Path
    hidden: Callable[[], frozenset[Identity]] = _nothing


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may use of the world; `key` is the same for every attempt of one call.

    `folder` is None for an agent without one; a tool that needs a folder is then not called.
    """

    agent: AgentId
    folder: Folder | None
    clock: Clock
    key: str


class Tool(Protocol):
    """One ability.

    `run` gets the arguments as the model wrote them and raises `ToolError` with a text the model
    can act on. Cancelling it ends it; for an unsafe tool the outcome is then unknown.
    """

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def effect(self) -> Effect: ...

    @property
    def timeout_s(self) -> float: ...

    @property
    def needs_folder(self) -> bool: ...

    async def run(self, arguments: str, context: ToolContext) -> ToolResult: ...


def is_available(tool: Tool, agent: Agent) -> bool:
    """Whether an agent has this tool: not denied, and a folder is there when the tool needs one."""
    if tool.needs_folder and agent.directory is None:
        return False
    return tool.spec.name not in agent.denied_tools


@runtime_checkable
class Waits(Protocol):
    """What a tool adds that waits for another machine or a person: it needs no processor here.

    Without it a call takes one of the places of tools, of which there are two for each processor.
    """

    @property
    def waits(self) -> bool: ...
