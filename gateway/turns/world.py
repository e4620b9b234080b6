"""What a turn's effects do: ask the model, run a tool. Failures come back as outcomes.

The boundary between turns and everything that can go wrong outside: nothing a model or a tool
raises gets past here but the control flow of runs, so a turn always has something to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from agents.base.agents import Agent
from agents.base.effects import CallModel, Compact, ModelFailure, ModelOutcome
from agents.base.messages import Messages, ToolCall
from agents.base.models import Model, ModelContext
from agents.base.tools import Effect, Folder, Tool, ToolContext, ToolResult, Waits, is_available
from gateway.core.clock import Clock
from gateway.core.errors import BudgetSpent, ModelFailed, RunError, TurngateError, describe
from gateway.core.ids import AgentId, Ids
from gateway.events.previews import Previews

log = structlog.get_logger(__name__)


TURN_S = 30 * 60.0
"""Longest a turn may work at a stretch; what it waited parked, or for a process to run it, is not
counted."""
COMPACTING_S = 10.0
"""Longest that taking notes may hold a turn up."""


class Compacting(Protocol):
    """Sees what is about to be summarised, to keep what must not be lost."""

    async def __call__(
        self, agent_id: AgentId, session_key: str, beginning: Messages, /
    ) -> None: ...


def _whole(agent: Agent) -> Folder | None:
    return None if agent.directory is None else Folder(agent.directory)


@dataclass(frozen=True, slots=True)
class World:
    """What turns may use: a model, tools by name, a clock, and who watches.

    `folder_of` gives the folder of an agent's file tools, with what is hidden in it.
    """

    clock: Clock
    ids: Ids
    model: Model
    tools: Mapping[str, Tool]
    previews: Previews
    turn_s: float = TURN_S
    compacting: Compacting | None = None
    folder_of: Callable[[Agent], Folder | None] = _whole

    async def remember(self, agent_id: AgentId, session_key: str, beginning: Messages) -> None:
        """Let others see what a summary is about to stand for; their failures are their own."""
        if self.compacting is None:
            return
        try:
            async with self.clock.timeout(COMPACTING_S):
                await self.compacting(agent_id, session_key, beginning)
        except RunError:
            raise
        except Exception:  # a boundary: who takes notes must not keep the turn from its answer
            log.exception("compaction.hook_failed", session_key=session_key)

    async def call_model(self, effect: CallModel | Compact, context: ModelContext) -> ModelOutcome:
        """Ask the model once."""
        try:
            return await self.model.complete(effect.request, context)
        except ModelFailed as error:
            log.warning("model.failed", category=error.category, reason=str(error))
            return ModelFailure(
                error.category,
                str(error),
                error.retry_after_ms,
                error.window,
                error.attempts,
                tokens=error.tokens,
                told=error.told,
            )
        except BudgetSpent as error:
            log.warning("model.budget_spent", reason=str(error))
            said = str(error)
            return ModelFailure(
                "quota", said, error.retry_after_ms, told=f"{said}.", kind=describe(error).kind
            )
        except RunError:
            raise
        except Exception:  # the boundary of a model: an adapter's bug is an answer
            error_id = self.ids.new("e")
            log.exception("model.bug", error_id=error_id)
            return ModelFailure("bad_response", f"the model adapter failed (error {error_id})")

    def effect_of(self, call: ToolCall) -> Effect:
        """What the call does to the world; an unknown tool does nothing."""
        tool = self.tools.get(call.name)
        return tool.effect if tool is not None else Effect.PURE

    def waits(self, call: ToolCall) -> bool:
        """Whether the call takes no processor of this machine: it waits for others."""
        tool = self.tools.get(call.name)
        return tool is None or (isinstance(tool, Waits) and tool.waits)

    async def call_tool(self, call: ToolCall, agent: Agent, key: str) -> ToolResult:
        """Run a tool; whatever goes wrong is something the model can read."""
        tool = self.tools.get(call.name)
        if tool is None or not is_available(tool, agent):
            return ToolResult(f"There is no tool named {call.name!r} here.", is_error=True)
        context = ToolContext(agent.id, self.folder_of(agent), self.clock, key)
        try:
            async with self.clock.timeout(tool.timeout_s):
                # What is too long for a model is not worth being recorded either.
                return (await tool.run(call.arguments, context)).cut()
        except RunError:
            raise
        except TurngateError as error:
            return ToolResult(str(error), is_error=True)
        except TimeoutError:
            said = f"The tool did not finish within {tool.timeout_s:g} s"
            return ToolResult(f"{said}{_doubt(tool)}.", is_error=True)
        except Exception:  # the boundary of a tool: the turn goes on without it
            error_id = self.ids.new("e")
            log.exception("tool.bug", tool=call.name, error_id=error_id)
            said = f"The tool failed inside (error {error_id})"
            return ToolResult(f"{said}{_doubt(tool)}.", is_error=True)


def _doubt(tool: Tool) -> str:
    """What a model has to know of a call that ended in the middle."""
    return "" if tool.effect is Effect.PURE else "; it is not known whether it took effect"


def by_name(tools: Sequence[Tool]) -> dict[str, Tool]:
    """Tools as a turn looks them up."""
    return {tool.spec.name: tool for tool in tools}
