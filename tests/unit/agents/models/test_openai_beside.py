"""What servers send beside an answer, joined from their pieces and handed back byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.base.messages import AssistantMessage, Messages, Opaque, ToolCall, ToolMessage
from agents.base.models import ModelReply, ModelRequest
from agents.models.openai_answer import Answer
from agents.models.openai_beside import MAX_BYTES, Beside
from agents.models.openai_request import encoded, to_json, wire_id


def reply(*deltas: dict[str, Any], finish: str = "tool_calls") -> ModelReply:
    growing = Answer()
    for delta in (*deltas, {}):
        reason = None if delta else finish
        growing.feed({"choices": [{"delta": delta, "finish_reason": reason}]})
    growing.finish()
    return growing.reply("p", "m")


def call(index: int = 0, id_: str = "a", args: str = "{}", **more: object) -> dict[str, Any]:
    function = {"name": "look", "arguments": args}
    return {"tool_calls": [{"index": index, "id": id_, "function": function} | more]}


def sent_back(said: ModelReply, *, profile: str = "p", model: str = "m") -> dict[str, Any]:
    """The message as it goes to this model at this profile."""
    message = AssistantMessage(said.text, said.tool_calls, opaque=said.opaque)
    request = ModelRequest("m", "", (message,))
    body = to_json(request, model=model, limit_field="max_tokens", profile=profile)
    (found,) = json.loads(encoded(body))["messages"]
    assert isinstance(found, dict)
    return found


def text_detail(text: str, index: int | None = 0, **more: object) -> dict[str, Any]:
    detail = {"type": "reasoning.text", "text": text, "index": index} | more
    return {name: value for name, value in detail.items() if value is not None}


def secret_detail(data: str, index: int | None = 0, **more: object) -> dict[str, Any]:
    return {"type": "reasoning.encrypted", "data": data, "index": index} | more


SIGNED = {"google": {"thought_signature": "EjQKMg=="}}
FORMS: dict[str, tuple[tuple[dict[str, Any], ...], dict[str, Any]]] = {
    "DeepSeek, in pieces": (
        ({"content": None, "reasoning_content": "I need "}, {"reasoning_content": "the clock."}),
        {"reasoning_content": "I need the clock."},
    ),
    "Kimi, beside an empty text": (
        ({"content": "", "reasoning_content": "clock"},),
        {"reasoning_content": "clock"},
    ),
    "nothing thought": (({"reasoning_content": ""},), {"reasoning_content": ""}),
    "vLLM, null": (({"reasoning_content": None, "reasoning": "so"},), {"reasoning": "so"}),
    "OpenRouter, text by index": (
        (
            {"reasoning": "clo", "reasoning_details": [text_detail("clo", format="x-v1")]},
            {"reasoning": "ck", "reasoning_details": [text_detail("ck", format="x-v1")]},
            {"reasoning_details": [text_detail("", signature="Ep==")]},
            {"reasoning_details": [text_detail("next", 1)]},
        ),
        {
            "reasoning": "clock",
            "reasoning_details": [
                text_detail("clock", format="x-v1", signature="Ep=="),
                text_detail("next", 1),
            ],
        },
    ),
    "OpenRouter, encrypted blocks": (
        (
            {"reasoning_details": [text_detail("a"), secret_detail("AAA", id="rs_1")]},
            {"reasoning_details": [secret_detail("BBB", id="rs_2")]},
            {"reasoning_details": [secret_detail("CCC", 1)]},
        ),
        {
            "reasoning_details": [
                text_detail("a"),
                secret_detail("AAA", id="rs_1"),
                secret_detail("BBB", id="rs_2"),
                secret_detail("CCC", 1),
            ]
        },
    ),
    "details without an index": (
        (
            {"reasoning_details": [text_detail("a", None)]},
            {"reasoning_details": [text_detail("b", None)]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "A"}]},
            {"reasoning_details": [{"type": "reasoning.encrypted", "data": "B"}]},
        ),
        {
            "reasoning_details": [
                text_detail("ab", None),
                {"type": "reasoning.encrypted", "data": "A"},
                {"type": "reasoning.encrypted", "data": "B"},
            ]
        },
    ),
    "LiteLLM, thinking blocks of Anthropic": (
        (
            {"thinking_blocks": [{"type": "thinking", "thinking": "I ", "signature": None}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "see", "signature": None}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s1"}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "more", "signature": "s2"}]},
            {"thinking_blocks": [{"type": "redacted_thinking", "data": "R"}]},
        ),
        {
            "thinking_blocks": [
                {"type": "thinking", "thinking": "I see", "signature": "s1"},
                {"type": "thinking", "thinking": "more", "signature": "s2"},
                {"type": "redacted_thinking", "data": "R"},
            ]
        },
    ),
    "MiniMax, all of it so far in each piece": (
        (
            {"reasoning_details": [text_detail("The user wants the time.")]},
            {"reasoning_details": [text_detail("The user wants the time. I look.")]},
        ),
        {"reasoning_details": [text_detail("The user wants the time. I look.")]},
    ),
    "Gemini, a flag of one piece": (
        ({"extra_content": {"google": {"thought": True}}}, {"extra_content": SIGNED}),
        {"extra_content": SIGNED},
    ),
    "numbers, nulls and letters of any kind": (
        (
            {
                "reasoning_details": [
                    {"type": "x", "n": 1.5, "big": 2**70, "no": None, "ö": "日\ud800"}
                ]
            },
        ),
        {"reasoning_details": [{"type": "x", "n": 1.5, "big": 2**70, "no": None, "ö": "日?"}]},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_it_goes_back_beside_the_calls(form: str) -> None:
    deltas, expected = FORMS[form]
    back = sent_back(reply(*deltas, call()))
    assert set(back) == {"role", "content", "tool_calls", *expected}
    assert {name: back[name] for name in expected} == expected


def test_it_goes_to_no_other_model_or_profile() -> None:
    said = reply({"reasoning_content": "secret"}, call(extra_content=SIGNED))
    for other in ({"profile": "q"}, {"model": "n"}):
        back = sent_back(said, **other)
        assert "secret" not in json.dumps(back)
        assert set(back) == {"role", "content", "tool_calls"}
        assert set(back["tool_calls"][0]) == {"id", "type", "function"}


def test_a_signature_stays_with_its_call() -> None:
    """Gemini signs the first of parallel calls only."""
    said = reply(call(0, "a", extra_content=SIGNED), call(1, "b", '{"x": 1}'))
    first, second = sent_back(said)["tool_calls"]
    assert first["extra_content"] == SIGNED
    assert "extra_content" not in second


def test_a_signature_may_come_behind_its_call() -> None:
    said = reply(call(0, "a"), {"tool_calls": [{"index": 0, "extra_content": SIGNED}]})
    assert sent_back(said)["tool_calls"][0]["extra_content"] == SIGNED


def test_signatures_of_calls_under_one_index_are_not_joined() -> None:
    other = {"google": {"thought_signature": "Zz9="}}
    said = reply(
        call(0, "", '{"x": 1}', extra_content=SIGNED), call(0, "", '{"x": 2}', extra_content=other)
    )
    first, second = sent_back(said)["tool_calls"]
    assert (first["extra_content"], second["extra_content"]) == (SIGNED, other)


def test_a_signed_text_gets_its_signature_back() -> None:
    said = reply({"content": "Hi"}, {"content": "", "extra_content": SIGNED}, finish="stop")
    assert sent_back(said) == {"role": "assistant", "content": "Hi", "extra_content": SIGNED}


def test_an_answer_that_was_not_thought_about_stays_plain() -> None:
    said = reply({"content": "Hi", "reasoning_content": "", "reasoning": None}, finish="stop")
    assert said.opaque is None


def test_a_message_told_again_behind_its_pieces_adds_nothing() -> None:
    growing = Answer()
    growing.feed({"choices": [{"delta": {"content": "Hi", "reasoning_content": "so"}}]})
    whole = {"role": "assistant", "content": "Hi", "reasoning_content": "so"}
    growing.feed({"choices": [{"message": whole, "finish_reason": "stop"}]})
    assert sent_back(growing.reply("p", "m")) == whole


def test_too_much_is_left_out_whole() -> None:
    growing = Answer()
    growing.feed({"choices": [{"delta": {"content": "Hi", "reasoning_content": "x" * MAX_BYTES}}]})
    growing.feed({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    said = growing.reply("p", "m")
    assert (said.text, said.opaque, growing.dropped) == ("Hi", None, True)


def test_what_is_not_wanted_back_is_not_kept() -> None:
    beside = Beside()
    beside.take({"role": "assistant", "content": "Hi", "annotations": [{}], "audio": {}})
    beside.take({"reasoning_tokens": 5, "citations": ["x"]})
    assert not beside


def test_thoughts_are_in_no_representation() -> None:
    """A log or a traceback may hold one."""
    said = reply({"reasoning_content": "secret"}, call(extra_content=SIGNED))
    assert "secret" not in repr(said)
    assert "EjQKMg" not in repr(said)


def written(messages: Messages) -> list[dict[str, Any]]:
    request = ModelRequest("m", "", messages)
    body = to_json(request, model="m", limit_field="max_tokens", profile="p")
    found: list[dict[str, Any]] = body["messages"]
    return found


def test_kimi_gets_the_ids_of_its_own_form_back() -> None:
    """Its template writes them in front of each call, so the model reads them."""
    (made,) = reply(call(0, "functions.look:0")).tool_calls
    asked, answered = written((AssistantMessage("", (made,)), ToolMessage(made.id, "look", "x")))
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] == "functions.look:0"
    (other,) = reply(call(0, "toolu_01")).tool_calls
    assert sent_back(ModelReply("", (other,)))["tool_calls"][0]["id"] == wire_id("toolu_01")


def test_an_id_of_its_own_form_that_comes_twice_is_sent_once() -> None:
    (made,) = reply(call(0, "functions.look:0")).tool_calls
    again = ToolCall("b", made.name, made.arguments, made.opaque)
    asked = AssistantMessage("", (made,)), AssistantMessage("", (again,))
    ids = [said["tool_calls"][0]["id"] for said in written(asked)]
    assert ids == ["functions.look:0", wire_id("b")]


def test_members_in_the_store_that_are_no_object_are_left_out() -> None:
    odd = AssistantMessage("Hi", opaque=Opaque("p", "m", "[]"))
    assert written((odd,)) == [{"role": "assistant", "content": "Hi"}]
