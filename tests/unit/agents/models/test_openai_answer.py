"""The accumulator by itself; what servers do with it over the wire is in `test_openai_sdk`."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.base.messages import ToolCall
from agents.base.models import ModelReply, Usage
from agents.failures import EMPTY
from agents.models import openai_answer
from agents.models.openai_answer import Answer, UpstreamError
from agents.models.openai_usage import Asked
from gateway.core.errors import ModelFailed


def event(delta: object = None, finish: str | None = None, **more: object) -> dict[str, object]:
    return {"choices": [{"delta": delta, "finish_reason": finish}], **more}


def answer(*events: object) -> ModelReply:
    growing = Answer()
    for each in events:
        growing.feed(each)
    growing.finish()
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
        ("something_new", "stop"),
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
        "no such thing",
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


# --- what comes behind, again, or flat ---


def test_what_follows_a_finish_reason_belongs_to_the_answer() -> None:
    reply = answer(
        event({"content": "Hel"}), event({}, "stop"), event({"content": "lo"}), event({}, None)
    )
    assert (reply.text, reply.finish_reason) == ("Hello", "stop")


SENTENCE = "A sentence that is long enough."


@pytest.mark.parametrize(
    "again",
    [
        {"choices": [{"message": {"content": SENTENCE}, "finish_reason": "stop"}]},
        event({"content": SENTENCE}, "stop"),
        event({"content": SENTENCE}),
        {"object": "chat.completion", "choices": [{"message": {"content": SENTENCE}}]},
    ],
)
def test_a_message_told_again_at_the_end_is_told_once(again: object) -> None:
    growing = Answer()
    for part in (SENTENCE[:9], SENTENCE[9:]):
        growing.feed(event({"content": part}))
    assert growing.feed(again) == ""
    growing.feed(event({}, "stop"))
    assert growing.reply("p").text == SENTENCE


def test_a_message_told_whole_adds_what_its_pieces_lack() -> None:
    growing = Answer()
    growing.feed(event({"content": SENTENCE[:9]}))
    told = {"choices": [{"message": {"content": SENTENCE}, "finish_reason": "stop"}]}
    assert growing.feed(told) == SENTENCE[9:]


def test_words_that_repeat_stay() -> None:
    pieces = ("ha", "ha", "haha", " ", "no ", "no ")
    assert answer(*(event({"content": p}) for p in pieces), event({}, "stop")).text == "".join(
        pieces
    )


def test_calls_told_again_in_a_whole_message_are_run_once() -> None:
    call = {"id": "a", "function": {"name": "now", "arguments": '{"zone": "UTC"}'}}
    reply = answer(
        event({"tool_calls": [{"index": 0, **call}]}),
        {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]},
    )
    assert len(reply.tool_calls) == 1


def test_a_call_in_the_old_form_is_a_call() -> None:
    reply = answer(
        event({"function_call": {"name": "now", "arguments": "{"}}),
        event({"function_call": {"arguments": "}"}}, "function_call"),
    )
    assert reply.tool_calls == (ToolCall("", "now", "{}"),)


def test_thoughts_of_any_kind_are_not_in_the_text() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "secret"}]},
        {"type": "reasoning", "text": "secret"},
        {"type": "text", "text": "Hello"},
    ]
    reply = answer(
        event({"reasoning_content": "secret", "reasoning": "secret"}),
        event({"content": "<think>secret</think>\n"}),
        event({"content": parts}),
        event({}, "stop"),
    )
    assert reply.text == "Hello"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"code": 1305, "message": "busy"}, "busy"),
        ({"msg": "busy", "error_code": 336501}, "busy"),
        ({"detail": "busy"}, "busy"),
        ({"base_resp": {"status_code": 1002, "status_msg": "busy"}, "choices": None}, "busy"),
        (
            {"choices": [{"error": {"code": 502, "message": "busy"}, "finish_reason": "error"}]},
            "busy",
        ),
    ],
)
def test_an_error_in_any_form_is_an_error(error: object, message: str) -> None:
    with pytest.raises(UpstreamError) as raised:
        Answer().feed(error)
    assert isinstance(raised.value.body, dict)
    assert raised.value.body["message"] == message


def test_an_event_named_error_is_one() -> None:
    with pytest.raises(UpstreamError):
        Answer().feed({"info": "broken"}, "error")


@pytest.mark.parametrize(
    ("word", "category"),
    [("network_error", "truncated"), ("MALFORMED_FUNCTION_CALL", "truncated"), ("error", "server")],
)
def test_an_answer_that_broke_off_has_not_ended(word: str, category: str) -> None:
    growing = Answer()
    growing.feed(event({"content": "half"}, word))
    assert not growing.ended
    with pytest.raises(ModelFailed) as raised:
        growing.reply("p")
    assert raised.value.category == category


@pytest.mark.parametrize("word", ["stop", "tool_calls"])
@pytest.mark.parametrize("text", ["", " \n", "<think>well</think>"])
def test_an_empty_answer_is_none(word: str, text: str) -> None:
    with pytest.raises(ModelFailed) as raised:
        answer(event({"content": text}, word))
    assert (raised.value.category, raised.value.told) == ("bad_response", EMPTY)


def limited(prompt: int, output: int, *, text: str = "Once", asked: int = 4096) -> ModelReply:
    growing = Answer(Asked(size=100_000, output=asked))
    usage = {"prompt_tokens": prompt, "completion_tokens": output}
    growing.feed(event({"content": text}, "length", usage=usage))
    return growing.reply("p")


@pytest.mark.parametrize(
    ("prompt", "output", "window"),
    [
        (1900, 148, 2048),
        (3500, 500, 4000),
        (7000, 1193, 8193),
        (900, 4096, 0),  # the limit asked for
        (900, 4000, 0),  # near enough
        (900, 1024, 0),  # a lower limit of the server's own
        (20, 3, 0),  # no model has such a window
        (0, 148, 0),
        (1900, 0, 0),
    ],
)
def test_an_answer_cut_before_its_limit_was_cut_by_the_window(
    prompt: int, output: int, window: int
) -> None:
    reply = limited(prompt, output)
    assert (reply.finish_reason, reply.window) == ("window" if window else "length", window)


def test_a_prompt_that_leaves_no_room_for_an_answer_is_too_long() -> None:
    with pytest.raises(ModelFailed) as raised:
        limited(2040, 8, text="")
    assert (raised.value.category, raised.value.window) == ("overflow", 2048)


def test_halves_of_a_character_are_put_together() -> None:
    reply = answer(event({"content": "\ud83d"}), event({"content": "\ude00 \ud83d"}, "stop"))
    assert reply.text == "\U0001f600 \ufffd"


@given(
    text=st.text(alphabet="ab <>/thinkTHINK`\n", max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    opened=st.booleans(),
)
def test_pieces_and_previews_make_one_answer(text: str, cuts: list[int], opened: bool) -> None:
    """However it is cut, the same text; and what a watcher saw last is what the answer is."""
    at = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    growing, shown = Answer(opened=opened), ""
    for start, end in itertools.pairwise(at):
        misled = growing.misled
        more = growing.feed(event({"content": text[start:end]}))
        shown = more if growing.misled != misled else shown + more
    growing.feed(event({"content": ""}, "length"))
    shown += growing.finish()
    whole = Answer(opened=opened)
    whole.feed(event({"content": text}, "length"))
    whole.finish()
    assert growing.reply("p").text == whole.reply("p").text == shown
