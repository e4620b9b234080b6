"""The stored form of a conversation: what is written is what is read, old or new."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from agents.base.messages import (
    AssistantMessage,
    Message,
    Opaque,
    SummaryMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
    from_json,
    to_json,
)
from gateway.core.parts import Text

TEXT = st.text(max_size=8)
OPAQUE = st.none() | st.builds(Opaque, TEXT, TEXT, TEXT)
CALLS = st.lists(st.builds(ToolCall, TEXT, TEXT, TEXT, OPAQUE), max_size=2).map(tuple)
MESSAGES = st.one_of(
    st.builds(UserMessage, st.lists(st.builds(Text, TEXT), max_size=2).map(tuple)),
    st.builds(AssistantMessage, TEXT, CALLS, st.booleans(), OPAQUE),
    st.builds(ToolMessage, TEXT, TEXT, TEXT, st.booleans()),
    st.builds(SummaryMessage, TEXT, st.integers(0, 9), st.integers(0, 9)),
)


@given(MESSAGES)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    assert from_json(json.loads(json.dumps(to_json(message)))) == message


def test_an_answer_from_before_thoughts_were_kept_is_read() -> None:
    old = {
        "role": "assistant",
        "text": "Hi",
        "tool_calls": [{"id": "a", "name": "look", "arguments": "{}"}],
    }
    assert from_json(old) == AssistantMessage("Hi", (ToolCall("a", "look", "{}"),))
    assert to_json(from_json(old)) == old
