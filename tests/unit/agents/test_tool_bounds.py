"""Bounds of tools that hold together: calls and characters of a round and of a turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import tool_bounds
from agents.base.messages import ToolCall
from agents.base.tools import MAX_RESULT_CHARS, ToolResult
from agents.tool_bounds import KEPT_CALLS, ROUND_CALLS, ROUND_CHARS, TURN_CALLS, TURN_CHARS, ToolUse


def calls(count: int) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(f"c{number}", "look", "{}") for number in range(count))


def test_of_a_hundred_calls_some_are_run_and_the_rest_is_told_why() -> None:
    use = ToolUse()
    kept = use.kept(calls(128))
    assert len(kept) == KEPT_CALLS
    refused = use.refusals(kept, 128)
    assert list(refused) == [f"c{number}" for number in range(ROUND_CALLS, KEPT_CALLS)]
    assert "this round had 128" in refused["c40"].text
    assert refused["c40"].is_error


def test_a_turn_has_so_many_calls_in_all() -> None:
    use = ToolUse()
    run = 0
    for _ in range(20):
        if use.reached is not None:
            break
        run += 30 - len(use.refusals(calls(30), 30))
    assert run == TURN_CALLS
    assert use.reached is not None
    assert (use.reached.kind, "256 calls" in use.reached.told) == ("tool_calls", True)


def test_results_of_a_turn_are_counted_as_the_tools_gave_them() -> None:
    """That is what was recorded, whatever of it the model is sent."""
    use, long = ToolUse(), ToolResult("x" * MAX_RESULT_CHARS)
    for _ in range(TURN_CHARS // MAX_RESULT_CHARS // 4):
        assert use.reached is None
        use.taken({f"c{number}": long for number in range(4)})
    assert use.reached is not None
    assert use.reached.kind == "tool_output"


def test_the_longest_results_are_cut_first_and_say_so() -> None:
    short, long = ToolResult("short", is_error=True), ToolResult("x" * MAX_RESULT_CHARS)
    taken = ToolUse().taken({"a": short, "b": long, "c": long, "d": long})
    assert taken["a"] == short
    assert taken["b"].text.endswith("more characters were left out to make room]")
    assert len(taken["b"].text) < MAX_RESULT_CHARS


@given(st.lists(st.integers(0, 300), max_size=12))
def test_whatever_comes_a_round_fits(sizes: list[int]) -> None:
    """And nothing is cut that did not have to be. A level of small numbers, by its own rule."""
    level = tool_bounds._level(sizes, 500)  # noqa: SLF001  # the rule itself, without its notes
    cut = [min(size, level) for size in sizes]
    assert sum(cut) <= 500
    assert sum(sizes) > 500 or cut == sizes
    assert sum(sizes) <= 500 or sum(cut) > 500 - len(sizes)


@pytest.mark.parametrize("rounds", [3, 32])
def test_rounds_that_are_used_up_are_told(rounds: int) -> None:
    limit = tool_bounds.rounds_used(rounds)
    assert limit.kind == "tool_rounds"
    assert f"{rounds} rounds" in limit.told
    assert f"{rounds} tool rounds" in limit.demand


def test_the_bounds_fit_each_other() -> None:
    """A turn of full rounds stays below the steps of a run."""
    assert ROUND_CALLS <= KEPT_CALLS
    assert MAX_RESULT_CHARS <= ROUND_CHARS <= TURN_CHARS
