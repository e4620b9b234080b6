"""How much tools may add to one turn: calls and characters, a round and in all. Pure.

Each bound holds for itself and together they hold the turn: a model that asks for a hundred long
results a round reaches the end of the turn, not of the memory. Omissions are marked for the
model. When a turn has used it up, the model is asked once more, to answer with what it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from agents.base.messages import ToolCall
from agents.base.tools import MAX_RESULT_CHARS, ToolResult
from agents.resilience.shrinking import head

KEPT_CALLS = 64
"""Calls of one answer that are kept at all: what is past these is nothing but a loop."""
ROUND_CALLS = 32
"""Calls of one round that are run: a careful model asks for ten files, not for a hundred."""
TURN_CALLS = 256
"""Calls of a turn that are run: eight in each of its rounds, and far below the steps of a run."""
ROUND_CHARS = 2 * MAX_RESULT_CHARS
"""Results of one round: two of the longest, or 32 of 16 000 characters; half a megabyte is about
130 000 tokens, the room of most models."""
TURN_CHARS = 16 * MAX_RESULT_CHARS
"""Results of a turn as the tools gave them: 4 MiB, each of which is recorded once."""

NOT_RUN = (
    "The call was not run: {most} calls are run in one round, and this round had {asked}. Ask for "
    "the rest in the next round, or for less."
)


@dataclass(frozen=True, slots=True)
class Limit:
    """Why a turn gets no more from tools: for the model, for the person, and as the turn's kind."""

    kind: str
    demand: str
    told: str


def rounds_used(rounds: int) -> Limit:
    """All rounds of the turn were taken."""
    return _limit("tool_rounds", f"The limit of {rounds} tool rounds", f"{rounds} rounds")


_CALLS = f"{TURN_CALLS} calls"
_CHARS = f"{TURN_CHARS} characters of results"


class ToolUse:
    """What the tools of one turn have been asked for and have given so far."""

    def __init__(self) -> None:
        self._calls = 0
        self._chars = 0

    def kept(self, calls: tuple[ToolCall, ...]) -> tuple[ToolCall, ...]:
        """The calls of an answer that go on record."""
        return calls[:KEPT_CALLS]

    def refusals(self, calls: Iterable[ToolCall], asked: int) -> dict[str, ToolResult]:
        """Results, by call id, of the calls that are too many for a round of `asked` calls."""
        runnable = list(calls)
        most = min(ROUND_CALLS, TURN_CALLS - self._calls)
        self._calls += min(most, len(runnable))
        refused = ToolResult(NOT_RUN.format(most=most, asked=asked), is_error=True)
        return {call.id: refused for call in runnable[most:]}

    def taken(self, results: Mapping[str, ToolResult]) -> dict[str, ToolResult]:
        """The results of a round by call id, the longest cut until they fit together."""
        sizes = [len(result.text) for result in results.values()]
        self._chars += sum(sizes)
        most = _level(sizes, ROUND_CHARS)
        longer = {
            id_: replace(result, text=head(result.text, most))
            for id_, result in results.items()
            if len(result.text) > most
        }
        return {**results, **longer}

    @property
    def reached(self) -> Limit | None:
        """The bound of the turn that is used up, if one is."""
        if self._calls >= TURN_CALLS:
            return _limit("tool_calls", f"The limit of {_CALLS} of tools a turn", _CALLS)
        if self._chars >= TURN_CHARS:
            return _limit("tool_output", f"The limit of {_CHARS} a turn", _CHARS)
        return None


def _limit(kind: str, reached: str, used: str) -> Limit:
    return Limit(
        kind,
        f"[{reached} is reached; no further call will be run. Answer now with what you know and "
        "say what is left undone.]",
        f"The agent kept calling tools without coming to an answer ({used}); ask for a smaller "
        "step.",
    )


def _level(sizes: list[int], total: int) -> int:
    """The size to which the larger ones must be cut for all to fit into a total."""
    left = total
    for place, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - place)
        if size > share:
            return share
        left -= size
    return max(sizes, default=0)
