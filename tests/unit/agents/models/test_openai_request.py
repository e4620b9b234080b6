from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agents.base.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from agents.base.models import ModelRequest, ToolSpec
from agents.models.openai_request import NO_OUTPUT, encoded, to_json, wire_id
from gateway.core.parts import File, Image, Text


def rendered(*messages: Message) -> list[dict[str, Any]]:
    body = to_json(ModelRequest("m", "", messages), model="m", limit_field="max_tokens")
    found: list[dict[str, Any]] = body["messages"]
    return found


def test_the_frame_of_a_request() -> None:
    request = ModelRequest("ignored", "Be kind.", (), (), 77)
    assert to_json(request, model="m", limit_field="max_completion_tokens") == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be kind."}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 77,
    }


def test_tools_and_temperature_only_where_there_are_any() -> None:
    tool = ToolSpec("look", "Looks.", '{"type": "object"}')
    body = to_json(
        ModelRequest("m", "", (), (tool,), temperature=0.0), model="m", limit_field="max_tokens"
    )
    function = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["temperature"] == 0.0


CALL = ToolCall("callA0001", "look", '{"x": 1}')
CALL_JSON = {
    "id": "callA0001",
    "type": "function",
    "function": {"name": "look", "arguments": '{"x": 1}'},
}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (UserMessage((Text("a"), Text("b"))), {"role": "user", "content": "a\nb"}),
        (
            UserMessage((Text("a"), File("x.pdf", "https://e.org/x"))),
            {"role": "user", "content": "a\n[file x.pdf]"},
        ),
        (
            UserMessage((Text("a"), Image("https://e.org/i"), File("x", "https://e.org/x"))),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": "https://e.org/i"}},
                    {"type": "text", "text": "[file x]"},
                ],
            },
        ),
        (AssistantMessage("so"), {"role": "assistant", "content": "so"}),
        (
            AssistantMessage("", (CALL,)),
            {"role": "assistant", "content": None, "tool_calls": [CALL_JSON]},
        ),
        (
            AssistantMessage("wait", (CALL,)),
            {"role": "assistant", "content": "wait", "tool_calls": [CALL_JSON]},
        ),
        (
            ToolMessage("callA0001", "look", "found"),
            {"role": "tool", "tool_call_id": "callA0001", "content": "found"},
        ),
        (
            ToolMessage("callA0001", "look", "gone", is_error=True),
            {"role": "tool", "tool_call_id": "callA0001", "content": "Error: gone"},
        ),
        (
            ToolMessage("callA0001", "look", ""),
            {"role": "tool", "tool_call_id": "callA0001", "content": NO_OUTPUT},
        ),
    ],
)
def test_each_message_has_its_form(message: Message, expected: dict[str, Any]) -> None:
    assert rendered(message) == [expected]


def test_lone_surrogates_do_not_reach_the_wire() -> None:
    bad = "a\ud800b"
    said = rendered(
        UserMessage((Text(bad),)),
        AssistantMessage(bad, (ToolCall("a", "look", bad),)),
        ToolMessage("callA0001", "look", bad),
    )
    sent = json.loads(encoded({"messages": said, "n": 2**70}))
    assert sent["messages"][0]["content"] == sent["messages"][2]["content"] == "a?b"
    assert sent["n"] == 2**70


@pytest.mark.parametrize(
    "call_id", ["", "call", "call_9pw1qnYScqvGrCH58HWCvFH6", "functions.look:0", "x" * 40, "\ud800"]
)
def test_an_id_is_nine_letters_and_digits_for_every_provider(call_id: str) -> None:
    """Mistral refuses any other; the result names the call by the same id."""
    call = ToolCall(call_id, "look", "{}")
    asked, answered = rendered(AssistantMessage("", (call,)), ToolMessage(call_id, "look", "x"))
    sent = asked["tool_calls"][0]["id"]
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", sent)
    assert answered["tool_call_id"] == sent == wire_id(call_id)


def test_ids_that_differ_stay_different_and_those_that_fit_stay_as_they_are() -> None:
    assert len({wire_id(f"call_{number}") for number in range(10_000)}) == 10_000
    assert wire_id("D681PevKs") == "D681PevKs"
    assert wire_id("call_0") == "45JoVn4qR"
