"""The turn, driven by hand: no event loop, no clock, no model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.base.agents import Agent
from agents.base.effects import (
    CallModel,
    CallTools,
    Cancelled,
    Effects,
    FinishedTool,
    ModelFailure,
    Outcome,
    Snapshot,
    Turn,
    TurnProgram,
    TurnResult,
)
from agents.base.messages import AssistantMessage, Messages, ToolCall, ToolMessage, UserMessage
from agents.base.models import REPETITION, WINDOW_FULL, ModelReply, ToolSpec, Usage
from agents.base.tools import MAX_RESULT_CHARS, ToolResult
from agents.context import GO_ON, INTERRUPTED, repair
from agents.resilience.shrinking import UNKNOWN_CHARS
from agents.tool_bounds import ROUND_CALLS, ROUND_CHARS, TURN_CHARS, rounds_used
from agents.tools.catalog import TOOLS
from agents.turn import MAX_ROUNDS, ToolLoop
from gateway.core.ids import AgentId
from gateway.core.parts import Text

LOOK = ToolSpec("look", "Looks.", "{}")
HISTORY: Messages = (UserMessage((Text("hi"),)),)
SNAPSHOT = Snapshot(
    agent=AgentId("main"),
    system="You are a test.",
    tools=(LOOK,),
    models=("big", "small"),
    max_tokens=100,
    temperature=0.5,
    max_rounds=3,
    revision=7,
    now_ms=1,
)


def user(text: str) -> UserMessage:
    return UserMessage((Text(text),))


def call(id_: str, name: str = "look", arguments: str = "{}") -> ToolCall:
    return ToolCall(id_, name, arguments)


def asks(*calls: ToolCall, text: str = "") -> ModelReply:
    return ModelReply(text, calls, "tool_calls")


class Driver:
    """Runs a turn on outcomes decided beforehand; keeps what it asked for."""

    def __init__(self, snapshot: Snapshot = SNAPSHOT, history: Messages = HISTORY) -> None:
        self.turn: Turn = ToolLoop((), models=()).run(snapshot, history)
        self.effects: list[Effects] = [next(self.turn)]

    def send(self, *outcomes: Outcome) -> TurnResult | None:
        """Answer one effect after the other; the result once the turn has ended."""
        for outcome in outcomes:
            try:
                self.effects.append(self.turn.send(outcome))
            except StopIteration as stop:
                return self._result(stop)
        return None

    def cancel(self, stop: Cancelled) -> TurnResult:
        with pytest.raises(StopIteration) as ended:
            self.turn.throw(stop)
        return self._result(ended.value)

    def _result(self, stop: StopIteration) -> TurnResult:
        assert isinstance(stop.value, TurnResult)
        return stop.value


def test_an_answer_ends_the_turn() -> None:
    driver = Driver()
    assert driver.send(ModelReply("hello")) == TurnResult(
        "answered", "hello", (AssistantMessage("hello"),)
    )
    (effect,) = driver.effects
    assert isinstance(effect, CallModel)
    assert effect.round == 0
    assert effect.request.model == "big"
    assert effect.request.system == "You are a test."
    assert effect.request.messages == (user("hi"),)
    assert effect.request.tools == (LOOK,)
    assert (effect.request.max_tokens, effect.request.temperature) == (100, 0.5)


def test_tools_run_side_by_side_and_their_results_go_back() -> None:
    driver = Driver()
    calls = (call("a"), call("b", arguments='{"x": 1}'))
    results = (ToolResult("one"), ToolResult("broke", is_error=True))
    assert driver.send(asks(*calls, text="wait"), results) is None
    assert driver.effects[1] == CallTools(calls, 0)
    second = driver.effects[2]
    assert isinstance(second, CallModel)
    assert second.round == 1
    added = (
        AssistantMessage("wait", calls),
        ToolMessage("a", "look", "one"),
        ToolMessage("b", "look", "broke", is_error=True),
    )
    assert second.request.messages == (user("hi"), *added)
    assert driver.send(ModelReply("done")) == TurnResult(
        "answered", "done", (*added, AssistantMessage("done"))
    )


def test_the_history_is_repaired_before_it_is_sent() -> None:
    broken = (user("hi"), AssistantMessage("", (call("a"),)), user("still there?"))
    (effect,) = Driver(history=broken).effects
    assert isinstance(effect, CallModel)
    assert effect.request.messages == repair(broken)


def test_a_turn_nobody_asked_for_still_asks_something() -> None:
    (effect,) = Driver(history=(user("hi"), AssistantMessage("hello"))).effects
    assert isinstance(effect, CallModel)
    assert effect.request.messages[-1] == user(GO_ON)


def test_unknown_tools_are_refused_without_being_run() -> None:
    driver = Driver()
    assert driver.send(asks(call("a", "delete"), call("b"))) is None
    assert driver.effects[1] == CallTools((call("b"),), 0)
    driver.send((ToolResult("found"),))
    second = driver.effects[2]
    assert isinstance(second, CallModel)
    assert second.request.messages[-2:] == (
        ToolMessage("a", "delete", "There is no tool 'delete' here; available: look.", True),
        ToolMessage("b", "look", "found"),
    )


def test_a_round_of_unknown_tools_alone_goes_straight_back_to_the_model() -> None:
    driver = Driver(replace(SNAPSHOT, tools=()))
    driver.send(asks(call("a")))
    second = driver.effects[1]
    assert isinstance(second, CallModel)
    (last,) = second.request.messages[-1:]
    assert isinstance(last, ToolMessage)
    assert last.text == "There is no tool 'look' here; available: none."


def test_ids_the_model_repeats_are_told_apart() -> None:
    history = (
        user("hi"),
        AssistantMessage("", (call("a"),)),
        ToolMessage("a", "look", "old"),
        AssistantMessage("so"),
        user("again"),
    )
    driver = Driver(history=history)
    driver.send(asks(call("a"), call("a"), call("")))
    assert driver.effects[1] == CallTools((call("a_2"), call("a_3"), call("call")), 0)


def test_past_the_last_round_the_model_must_answer() -> None:
    driver = Driver()
    for _ in range(3):
        assert driver.send(asks(call("a")), (ToolResult("x"),)) is None
    closing = driver.effects[-1]
    assert isinstance(closing, CallModel)
    assert closing.round == 3
    assert closing.request.messages[-1] == user(rounds_used(3).demand)
    assert closing.request.tools == (LOOK,)  # providers refuse calls in a history without tools
    result = driver.send(asks(call("b"), text="As far as I got."))
    assert result is not None
    assert (result.state, result.text) == ("answered", "As far as I got.")
    assert result.messages[-1] == AssistantMessage("As far as I got.")
    assert user(rounds_used(3).demand) not in result.messages


def test_a_model_that_never_answers_fails_the_turn() -> None:
    driver = Driver()
    result = driver.send(*(asks(call("a")), (ToolResult("x"),)) * 3, asks(call("a")))
    assert result is not None
    assert (result.state, result.kind) == ("failed", "tool_rounds")
    assert "3 rounds" in result.text
    assert len(result.messages) == 6
    assert len(driver.effects) == 7


def test_a_model_that_asks_for_a_hundred_long_results_a_round_comes_to_an_end() -> None:
    """What one round and one turn may take holds, what is sent stays small, and the word fits.

    No window is known: so nothing else bounds what is sent.
    """
    snapshot = replace(SNAPSHOT, max_rounds=MAX_ROUNDS)
    driver, long, given = Driver(snapshot), ToolResult("x" * MAX_RESULT_CHARS), 0
    result, round_ = None, 0
    while result is None:
        effect = driver.effects[-1]
        if isinstance(effect, CallTools):
            assert len(effect.calls) <= ROUND_CALLS
            given += len(effect.calls) * MAX_RESULT_CHARS
            result = driver.send((long,) * len(effect.calls))
        else:
            assert isinstance(effect, CallModel)
            sent = [said.text for said in effect.request.messages if isinstance(said, ToolMessage)]
            assert sum(map(len, sent)) <= UNKNOWN_CHARS + ROUND_CHARS
            round_ += 1
            result = driver.send(asks(*(call(f"{round_}-{number}") for number in range(128))))
    assert (result.state, result.kind) == ("failed", "tool_output")
    assert f"{TURN_CHARS} characters" in result.text
    assert given <= TURN_CHARS + ROUND_CALLS * MAX_RESULT_CHARS


def test_old_results_are_cleared_before_they_are_sent_again_where_no_window_is_known() -> None:
    """And the log is told; the newest round is sent as it is."""
    driver, half = Driver(replace(SNAPSHOT, max_rounds=9)), ToolResult("x" * (UNKNOWN_CHARS // 2))
    for number in range(3):
        assert driver.send(asks(call(f"c{number}")), (half,)) is None
    first, *_, last = (each for each in driver.effects if isinstance(each, CallModel))
    assert first.shortened is None
    assert last.shortened is not None
    assert last.shortened.rungs == ("cleared",)
    sent = [said.text for said in last.request.messages if isinstance(said, ToolMessage)]
    assert ["was cleared" in text for text in sent] == [True, True, False]


def test_a_failed_call_fails_the_turn_without_the_providers_words() -> None:
    driver = Driver()
    result = driver.send(ModelFailure("rate", "key sk-123 is over its limit", 7000))
    assert result == TurnResult(
        "failed",
        "The model provider is limiting requests right now; try again in 7 s.",
        (),
        "rate",
    )


def test_a_failure_keeps_the_rounds_before_it() -> None:
    driver = Driver()
    result = driver.send(asks(call("a")), (ToolResult("x"),), ModelFailure("server", ""))
    assert result is not None
    assert (result.state, result.kind) == ("failed", "server")
    assert result.messages == (
        AssistantMessage("", (call("a"),)),
        ToolMessage("a", "look", "x"),
    )


def test_a_failure_of_the_closing_call_is_that_failure() -> None:
    driver = Driver(replace(SNAPSHOT, max_rounds=0))
    result = driver.send(ModelFailure("auth", ""))
    assert result is not None
    assert result.kind == "auth"


def test_a_filtered_answer_is_a_failure_and_leaves_no_text() -> None:
    result = Driver().send(ModelReply("half of somethi", (), "content_filter"))
    assert result is not None
    assert (result.state, result.kind, result.messages) == ("failed", "filtered", ())
    assert "rephrase" in result.text


def test_filtered_calls_are_not_run() -> None:
    driver = Driver()
    result = driver.send(ModelReply("", (call("a"),), "content_filter"))
    assert result is not None
    assert result.kind == "filtered"


def test_an_answer_cut_at_its_limit_says_so_to_the_person_only() -> None:
    result = Driver().send(ModelReply("Once upon a", (), "length"))
    assert result == TurnResult(
        "answered",
        "Once upon a\n\n[cut off at the output limit of 100 tokens; ask to go on]",
        (AssistantMessage("Once upon a"),),
    )


def test_an_answer_cut_by_the_window_says_so_and_not_that_a_limit_should_be_raised() -> None:
    result = Driver().send(ModelReply("Once upon a", (), WINDOW_FULL, Usage(1900, 148)))
    assert result is not None
    assert "window of 2048 tokens" in result.text
    assert "max_tokens" not in result.text
    assert result.messages == (AssistantMessage("Once upon a"),)


def test_calls_cut_by_the_window_are_not_run() -> None:
    driver = Driver()
    assert driver.send(ModelReply("", (call("a"),), WINDOW_FULL, Usage(1900, 30))) is None
    assert isinstance(driver.effects[1], CallModel)


def test_an_answer_cut_where_it_went_round_in_circles_says_so_to_the_person_only() -> None:
    result = Driver().send(ModelReply("Once upon a time.", (), REPETITION))
    assert result == TurnResult(
        "answered",
        "Once upon a time.\n\n[cut off here, where the model began to repeat itself]",
        (AssistantMessage("Once upon a time."),),
    )


def test_calls_cut_at_the_limit_are_not_run() -> None:
    driver = Driver()
    assert driver.send(ModelReply("", (call("a"), call("b")), "length")) is None
    second = driver.effects[1]
    assert isinstance(second, CallModel)
    for message in second.request.messages[-2:]:
        assert isinstance(message, ToolMessage)
        assert message.is_error
        assert "limit of 100 tokens" in message.text


@pytest.mark.parametrize("text", ["", " \n"])
def test_no_answer_at_all_is_a_failure(text: str) -> None:
    result = Driver().send(ModelReply(text))
    assert result is not None
    assert (result.state, result.kind, result.messages) == ("failed", "bad_response", ())


def test_a_limit_used_up_by_thinking_is_a_failure_with_a_way_out() -> None:
    result = Driver().send(ModelReply("", (), "length"))
    assert result is not None
    assert (result.state, result.kind) == ("failed", "truncated")
    assert "max_tokens" in result.text


def test_cancelling_a_model_call_keeps_what_was_said() -> None:
    assert Driver().cancel(Cancelled(partial_text="Once upon")) == TurnResult(
        "cancelled", "Once upon", (AssistantMessage("Once upon", partial=True),)
    )
    assert Driver().cancel(Cancelled()) == TurnResult("cancelled", "")


def test_cancelling_tools_keeps_the_finished_and_marks_the_others() -> None:
    driver = Driver()
    calls = (call("a"), call("b"), call("c", "unknown"))
    driver.send(asks(*calls, text="wait"))
    done = FinishedTool(call("b"), ToolResult("found"))
    result = driver.cancel(Cancelled(finished_tools=(done,)))
    assert result.messages == (
        AssistantMessage("wait", calls),
        ToolMessage("a", "look", INTERRUPTED, is_error=True),
        ToolMessage("b", "look", "found"),
        ToolMessage("c", "unknown", "There is no tool 'unknown' here; available: look.", True),
    )


def test_cancelling_the_closing_call_keeps_what_was_said() -> None:
    driver = Driver(replace(SNAPSHOT, max_rounds=0))
    result = driver.cancel(Cancelled(partial_text="As far"))
    assert result.messages == (AssistantMessage("As far", partial=True),)


@pytest.mark.parametrize("wrong", [(), (ToolResult("a"),) * 3, ModelReply("x")])
def test_a_driver_that_answers_tools_wrongly_is_told(wrong: Outcome) -> None:
    driver = Driver()
    driver.send(asks(call("a"), call("b")))
    with pytest.raises(TypeError, match="2 tool calls were answered"):
        driver.send(wrong)


def test_a_driver_that_answers_a_model_call_wrongly_is_told() -> None:
    with pytest.raises(TypeError, match="a model call was answered with tuple"):
        Driver().send(())


def agent(**settings: object) -> Agent:
    base = Agent(AgentId("main"), "main", "You are a test.", Path("/nowhere"))
    return replace(base, **settings)  # type: ignore[arg-type]


def test_the_snapshot_is_what_the_agent_may_and_wants() -> None:
    program: TurnProgram = ToolLoop(TOOLS, models=("big", "small"))
    snapshot = program.prepare(
        agent(denied_tools=frozenset({"read_file"}), max_tokens=9, temperature=0.1),
        revision=4,
        now_ms=5,
    )
    assert [tool.name for tool in snapshot.tools] == ["current_time"]
    assert snapshot.models == ("big", "small")
    assert (snapshot.max_tokens, snapshot.temperature) == (9, 0.1)
    assert (snapshot.revision, snapshot.now_ms) == (4, 5)
    assert snapshot.max_rounds == MAX_ROUNDS == 32
    assert snapshot.system.startswith("You are a test.")


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({}, ("big", "small")),
        ({"model": "own"}, ("own", "small")),
        ({"fallback_models": ("x", "big", "x")}, ("big", "x")),
        ({"model": "own", "fallback_models": ("y",)}, ("own", "y")),
    ],
)
def test_models_are_tried_in_the_agents_order(
    settings: dict[str, object], order: tuple[str, ...]
) -> None:
    program = ToolLoop((), models=("big", "small"))
    assert program.prepare(agent(**settings), revision=0, now_ms=0).models == order


def test_a_gateway_without_any_model_name_leaves_the_choice_to_the_profile() -> None:
    snapshot = ToolLoop((), models=()).prepare(agent(), revision=0, now_ms=0)
    assert snapshot.models == ()
    driver = Driver(snapshot)
    (effect,) = driver.effects
    assert isinstance(effect, CallModel)
    assert effect.request.model == ""
