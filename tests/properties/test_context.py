"""Any history can be repaired, and any turn ends: whatever models, tools and people do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.base.effects import (
    CallModel,
    CallTools,
    Cancelled,
    Compact,
    Effects,
    FinishedTool,
    ModelFailure,
    Outcome,
    Snapshot,
    Turn,
    TurnResult,
)
from agents.base.messages import (
    AssistantMessage,
    Message,
    Messages,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelReply, ToolSpec
from agents.base.tools import ToolResult
from agents.context import CUT_SHORT, for_request, repair
from agents.turn import ToolLoop
from gateway.core.ids import AgentId
from gateway.core.parts import File, Image, Text

TEXT = st.one_of(
    st.sampled_from(["", " ", "\n\t", "hi", CUT_SHORT, "[empty message]", "\ud800", "\0"]),
    st.text(max_size=8),
)
# Few ids, so that they collide, go missing and turn up in the wrong place.
IDS = st.one_of(st.sampled_from(["", "a", "b", "a_2", "call", "functions.x:0", "x" * 90]), TEXT)
NAMES = st.sampled_from(["look", "unknown", "", "näme", "n" * 90])
ARGUMENTS = st.sampled_from(["{}", '{"a": 1}', "", " ", "{oops", "[]", "null", "7", '"x"', "NaN"])
PARTS = st.lists(
    st.one_of(
        st.builds(Text, TEXT),
        st.just(Image("https://example.org/a.png")),
        st.just(File("a.txt", "https://example.org/a.txt")),
    ),
    max_size=3,
).map(tuple)
CALLS = st.lists(st.builds(ToolCall, IDS, NAMES, ARGUMENTS), max_size=3).map(tuple)
MESSAGES = st.one_of(
    st.builds(UserMessage, PARTS),
    st.builds(AssistantMessage, TEXT, CALLS, st.booleans()),
    st.builds(ToolMessage, IDS, NAMES, TEXT, st.booleans()),
)
HISTORIES = st.lists(MESSAGES, max_size=12).map(tuple)

unhurried = settings(deadline=None)
"""A busy machine is no finding."""

WORD = re.compile(r"[a-zA-Z0-9_-]+")


def complaints(history: Messages) -> list[str]:
    """Why some provider would refuse this history; written without a look at the repair."""
    found: list[str] = []
    ids: set[str] = set()
    waiting: list[str] = []
    before: Message | None = None
    for message in history:
        match message:
            case UserMessage():
                found += ["a user message before the results"] * bool(waiting)
                found += wrong_with_user(message, before)
            case AssistantMessage():
                found += ["an answer before the results"] * bool(waiting)
                found += wrong_with_answer(message, before)
                found += wrong_with_calls(message.tool_calls, ids)
                waiting = [call.id for call in message.tool_calls]
            case ToolMessage(call_id):
                if not waiting or waiting.pop(0) != call_id:
                    found.append(f"a result for {call_id!r} out of place")
        before = message
    return found + ["calls without results at the end"] * bool(waiting)


def wrong_with_user(message: UserMessage, before: Message | None) -> Iterator[str]:
    if isinstance(before, UserMessage):
        yield "two user messages in a row"
    if isinstance(before, ToolMessage):
        yield "a user message right behind a result"
    blank = any(isinstance(part, Text) and not part.text.strip() for part in message.parts)
    if blank or not message.parts:
        yield "an empty user message"


def wrong_with_answer(message: AssistantMessage, before: Message | None) -> Iterator[str]:
    if before is None or isinstance(before, AssistantMessage):
        yield "an answer that follows no user and no result"
    if not message.text.strip() and not message.tool_calls:
        yield "an empty answer"
    if message.partial and not message.text.endswith(CUT_SHORT):
        yield "a partial answer that looks whole"


def wrong_with_calls(calls: tuple[ToolCall, ...], ids: set[str]) -> Iterator[str]:
    for call in calls:
        if call.id in ids or not WORD.fullmatch(call.id) or len(call.id) > 40:
            yield f"the id {call.id!r}"
        if not WORD.fullmatch(call.name) or len(call.name) > 64:
            yield f"the name {call.name!r}"
        if not isinstance(json.loads(call.arguments), dict):
            yield f"the arguments {call.arguments!r}"
        ids.add(call.id)


def user_said(history: Messages) -> list[object]:
    """Every part of every user, blank text aside."""
    return [
        part
        for message in history
        if isinstance(message, UserMessage)
        for part in message.parts
        if not isinstance(part, Text) or part.text.strip()
    ]


def is_subsequence(short: list[object], long: list[object]) -> bool:
    rest = iter(long)
    return all(item in rest for item in short)


@unhurried
@given(HISTORIES)
def test_every_history_is_acceptable_after_repair(history: Messages) -> None:
    assert complaints(repair(history)) == []


@unhurried
@given(HISTORIES)
def test_repairing_twice_is_repairing_once(history: Messages) -> None:
    once = repair(history)
    assert repair(once) == once


@unhurried
@given(HISTORIES)
def test_nothing_a_user_said_is_lost(history: Messages) -> None:
    assert is_subsequence(user_said(history), user_said(repair(history)))


@unhurried
@given(HISTORIES)
def test_the_agents_words_are_kept_too(history: Messages) -> None:
    words = [m.text.strip() for m in history if isinstance(m, AssistantMessage) and m.text.strip()]
    text = "\n".join(m.text for m in repair(history) if isinstance(m, AssistantMessage))
    for word in words:
        assert word in text
        text = text[text.index(word) :]


@unhurried
@given(HISTORIES)
def test_a_request_ends_with_something_to_answer(history: Messages) -> None:
    request = for_request(history)
    assert complaints(request) == []
    assert isinstance(request[-1], UserMessage | ToolMessage)


@unhurried
@given(HISTORIES, st.lists(MESSAGES, max_size=4).map(tuple))
def test_a_longer_history_keeps_the_form_of_its_beginning(
    history: Messages, more: Messages
) -> None:
    """All but the last exchange, which may still get results or another user message."""
    begun = [n for n, m in enumerate(history) if isinstance(m, AssistantMessage) and m.tool_calls]
    settled = repair(history[: begun[-1]]) if begun else ()
    # Ending with the agent's words, it would be joined with what the agent says next.
    if settled and isinstance(settled[-1], UserMessage | ToolMessage):
        assert repair((*history, *more))[: len(settled)] == settled


SNAPSHOT = Snapshot(
    agent=AgentId("main"),
    system="",
    tools=(ToolSpec("look", "", "{}"),),
    models=("m",),
    max_tokens=10,
    temperature=None,
    max_rounds=4,
    revision=0,
    now_ms=0,
)
FINISHES = st.sampled_from(["stop", "tool_calls", "length", "content_filter", "odd"])
REPLIES = st.one_of(
    st.builds(ModelReply, TEXT, CALLS, FINISHES),
    st.builds(ModelReply, TEXT, CALLS.filter(bool), st.just("tool_calls")),
)
FAILURES = st.builds(ModelFailure, st.sampled_from(["rate", "server"]), TEXT)
RESULTS = st.builds(ToolResult, TEXT, st.booleans())


@unhurried
@given(HISTORIES, st.integers(0, 4), st.data())
def test_every_turn_ends_and_leaves_a_repairable_transcript(
    history: Messages, max_rounds: int, data: st.DataObject
) -> None:
    """Cancelled at any effect or at none, with whatever comes back."""
    turn = ToolLoop((), models=()).run(replace(SNAPSHOT, max_rounds=max_rounds), history)
    result = finish(turn, most_effects=2 * max_rounds + 1, data=data)
    assert pairs(result.messages)
    assert complaints(repair((*history, *result.messages))) == []
    assert result.state == "cancelled" or result.text.strip()
    assert (result.kind != "") == (result.state == "failed")


def finish(turn: Turn, *, most_effects: int, data: st.DataObject) -> TurnResult:
    """Drive the turn to its end."""
    try:
        effect = next(turn)
        for _ in range(most_effects):
            if data.draw(st.integers(0, 9), label="cancel") == 0:
                effect = turn.throw(cancelled(effect, data))
                raise AssertionError("a cancelled turn may only return")
            effect = turn.send(outcome(effect, data))
    except StopIteration as stop:
        result = stop.value
        assert isinstance(result, TurnResult)
        return result
    raise AssertionError(f"a turn asked for more than {most_effects} effects")


def outcome(effect: Effects, data: st.DataObject) -> Outcome:
    if isinstance(effect, CallModel | Compact):
        assert complaints(effect.request.messages) == []
        return data.draw(st.one_of(REPLIES, REPLIES, REPLIES, FAILURES))
    assert effect.calls
    assert {call.name for call in effect.calls} == {"look"}
    return tuple(data.draw(RESULTS) for _ in effect.calls)


def cancelled(effect: Effects, data: st.DataObject) -> Cancelled:
    calls = effect.calls if isinstance(effect, CallTools) else ()
    finished = [call for call in calls if data.draw(st.booleans())]
    return Cancelled(
        partial_text=data.draw(TEXT),
        finished_tools=tuple(FinishedTool(call, data.draw(RESULTS)) for call in finished),
    )


def pairs(messages: Messages) -> bool:
    """Whether each call has its result right behind it, by the turn's own doing."""
    waiting: list[str] = []
    for message in messages:
        if isinstance(message, ToolMessage):
            if not waiting or waiting.pop(0) != message.call_id:
                return False
        elif waiting:
            return False
        elif isinstance(message, AssistantMessage):
            waiting = [call.id for call in message.tool_calls]
    return not waiting


def test_the_validator_sees_what_is_wrong() -> None:
    hi = UserMessage((Text("hi"),))
    call = ToolCall("a", "look", "{}")
    asked = AssistantMessage("", (call,))
    answered = ToolMessage("a", "look", "x")
    wrong: list[tuple[Message, ...]] = [
        (AssistantMessage("first"),),
        (hi, hi),
        (hi, AssistantMessage("a"), AssistantMessage("b")),
        (hi, asked),
        (hi, asked, hi),
        (hi, answered),
        (hi, asked, answered, answered),
        (hi, asked, answered, hi),
        (hi, asked, answered, asked, answered),
        (UserMessage(()),),
        (hi, AssistantMessage(" ")),
        (hi, AssistantMessage("cut", partial=True)),
        (hi, AssistantMessage("", (replace(call, id="a b"),)), ToolMessage("a b", "look", "x")),
        (hi, AssistantMessage("", (replace(call, name=""),)), answered),
        (hi, AssistantMessage("", (replace(call, arguments="[]"),)), answered),
    ]
    assert all(complaints(history) for history in wrong)
    assert complaints((hi, asked, answered, AssistantMessage("so"), hi)) == []
