"""The accumulator by itself; what servers do with it over the wire is in `test_openai_sdk`."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.base.messages import ToolCall
from agents.base.models import ModelReply, Usage
from agents.models import openai_answer
from agents.models.openai_answer import Answer, UpstreamError
from gateway.core.errors import ModelFailed


def event(delta: object = None, finish: str | None = None, **more: object) -> dict[str, object]:
    return {"choices": [{"delta": delta, "finish_reason": finish}], **more}


def answer(*events: object) -> ModelReply:
    growing = Answer()
    for each in events:
        growing.feed(each)
    return growing.reply("p")


def test_pieces_add_up() -> None:
    growing = Answer()
    assert growing.feed(event({"role": "assistant", "content": ""}, model="m-1")) == ""
    assert growing.feed(event({"content": "Hel"})) == "Hel"
    assert growing.feed(event({"content": "lo"})) == "lo"
    growing.feed(event({}, "stop"))
    growing.feed({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}})
    assert growing.reply("p") == ModelReply("Hello", (), "stop", Usage(5, 2), "m-1", "p")


def test_an_answer_has_begun_with_its_first_choice() -> None:
    growing = Answer()
    growing.feed({"choices": []})
    before = growing.begun
    growing.feed(event({}))
    assert (before, growing.begun) == (False, True)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("stop", "stop"),
        ("end_turn", "stop"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("SAFETY", "content_filter"),
        ("function_call", "tool_calls"),
        ("something_new", "something_new"),
    ],
)
def test_other_words_for_the_end_are_understood(said: str, means: str) -> None:
    assert answer(event({"content": "x"}, said)).finish_reason == means


@pytest.mark.parametrize(
    "usage", [None, "many", {}, {"prompt_tokens": None}, {"prompt_tokens": -1}, {"x": 1}]
)
def test_usage_nobody_understands_is_none(usage: object) -> None:
    assert answer(event({"content": "x"}, "stop", usage=usage)).usage == Usage()


def test_a_refusal_is_what_the_model_says() -> None:
    assert answer(event({"refusal": "I will not."}, "stop")).text == "I will not."


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "x"}},
        {"error": "x"},
        {"object": "error", "message": "x"},
        {"type": "error", "message": "x"},
        [{"error": {"message": "x"}}],
    ],
)
def test_an_error_in_place_of_an_answer_is_raised(error: object) -> None:
    with pytest.raises(UpstreamError) as raised:
        Answer().feed(error)
    assert raised.value.body in (error, error[0] if isinstance(error, list) else error)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "text",
        [],
        [{}, {}],
        {"choices": "x"},
        {"choices": [None]},
        event("x"),
        event({"content": 3}),
        event({"tool_calls": "x"}),
        event({"tool_calls": ["x"]}),
        event({"tool_calls": [{"function": "x"}]}),
    ],
)
def test_what_is_no_piece_of_an_answer_is_refused(wrong: object) -> None:
    with pytest.raises(ModelFailed) as raised:
        Answer().feed(wrong)
    assert raised.value.category == "bad_response"


@pytest.mark.parametrize(
    ("events", "category"),
    [
        ((), "bad_response"),
        (({"choices": []},), "bad_response"),
        ((event({"content": "x"}),), "truncated"),
        ((event({"content": "x"}, ""),), "truncated"),
        ((event({"content": "x"}, "error"),), "server"),
        ((event({"content": "x"}, "abort"),), "truncated"),
        ((event({"tool_calls": [{"index": 0, "id": "a"}]}, "tool_calls"),), "bad_response"),
    ],
)
def test_what_is_not_whole_is_no_answer(events: tuple[object, ...], category: str) -> None:
    with pytest.raises(ModelFailed) as raised:
        answer(*events)
    assert raised.value.category == category


def piece(**members: object) -> dict[str, object]:
    return event({"tool_calls": [members]})


def test_calls_keep_their_order_and_pieces_find_their_call() -> None:
    reply = answer(
        piece(index=1, id="b", function={"name": "two", "arguments": "{"}),
        piece(index=0, id="a", function={"name": "one"}),
        piece(index=1, function={"arguments": "}"}),
        piece(index=0, function={"name": "one", "arguments": None}),
        piece(index=0, id="a", function={"arguments": "{}"}),
        event({}, "tool_calls"),
    )
    assert reply.tool_calls == (ToolCall("b", "two", "{}"), ToolCall("a", "one", "{}"))


def test_whole_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    """Seen from servers that translate another protocol."""
    reply = answer(
        *(piece(index=0, id=i, function={"name": "x", "arguments": {"n": i}}) for i in "ab"),
        event({}, "stop"),
    )
    assert [json.loads(call.arguments) for call in reply.tool_calls] == [{"n": "a"}, {"n": "b"}]


def test_calls_of_a_whole_message_need_no_index() -> None:
    calls = [{"id": i, "function": {"name": "x", "arguments": "{}"}} for i in "ab"]
    whole = {"choices": [{"message": {"content": None, "tool_calls": calls}, "finish_reason": "x"}]}
    assert [call.id for call in answer(whole).tool_calls] == ["a", "b"]


def test_an_answer_without_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_answer, "MAX_OUTPUT_CHARS", 10)
    growing = Answer()
    growing.feed(event({"content": "x" * 6}))
    with pytest.raises(ModelFailed, match="longer than 10"):
        growing.feed(piece(index=0, id="a", function={"name": "x", "arguments": "y" * 6}))


def test_calls_without_end_are_ended() -> None:
    calls = [{"index": n, "id": str(n), "function": {"name": "x"}} for n in range(129)]
    Answer().feed(event({"tool_calls": calls[:128]}))
    with pytest.raises(ModelFailed, match="more than 128"):
        Answer().feed(event({"tool_calls": calls}))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "content", "tool_calls", "function", "name",
                 "arguments", "index", "id", "finish_reason", "usage", "error", "text"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None)  # a busy machine is no finding
@given(st.lists(VALUES, max_size=4))
def test_nothing_a_server_sends_gets_past_the_types(events: list[object]) -> None:
    growing = Answer()
    try:
        for each in events:
            growing.feed(each)
        reply = growing.reply("p")
    except (ModelFailed, UpstreamError):
        return
    texts: list[object] = [reply.text, reply.finish_reason, reply.model]
    for call in reply.tool_calls:
        assert call.name
        texts += [call.id, call.name, call.arguments]
    assert all(isinstance(text, str) for text in texts)
