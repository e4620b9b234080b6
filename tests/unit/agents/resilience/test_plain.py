"""A request cut to what a profile can take, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.base.messages import (
    AssistantMessage,
    Messages,
    Opaque,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from agents.base.models import Dialect, ModelRequest, ToolSpec
from agents.context import UNANSWERED
from agents.resilience.abilities import Abilities
from agents.resilience.plain import (
    IMAGE_SAVES,
    MAX_RESULT_CHARS,
    NO_IMAGE,
    NO_TOOLS,
    fitted,
    holds,
    window_as_asked,
)
from gateway.core.parts import Image, Text


def lacking(*members: str) -> Abilities:
    return Abilities(lacks=frozenset(members))


ABLE = Abilities()
TALKS_ONLY = lacking("tools")
REQUEST = ModelRequest(
    "big",
    "Be brief.",
    (
        UserMessage((Text("look"),)),
        AssistantMessage("I look.", (ToolCall("a", "look", '{"at": "x"}'),)),
        ToolMessage("a", "look", "y" * 1000),
    ),
    (ToolSpec("look", "Looks.", "{}"),),
    max_tokens=1000,
)


def test_who_can_take_everything_gets_it_as_it_is() -> None:
    assert fitted(REQUEST, ABLE, "big", output=1000) is REQUEST
    assert fitted(REQUEST, ABLE, "small", output=9) == replace(REQUEST, model="small", max_tokens=9)


def test_without_tools_past_calls_become_text_and_the_model_is_told() -> None:
    """A server without tools refuses or misreads them; a model that is not told makes them up."""
    fit = fitted(REQUEST, TALKS_ONLY, "big", output=1000)
    assert fit.tools == ()
    assert fit.system == f"Be brief.\n\n{NO_TOOLS}"
    assert fit.messages == (
        UserMessage((Text("look"),)),
        AssistantMessage('I look.\n[called look with {"at": "x"}]'),
        UserMessage((Text(f"[look said: {'y' * MAX_RESULT_CHARS} …]"),)),
    )


def test_an_agent_that_never_had_tools_is_told_nothing() -> None:
    request = replace(REQUEST, tools=(), messages=REQUEST.messages[:1])
    assert fitted(request, TALKS_ONLY, "big", output=1000) is request


def test_who_sees_no_images_is_told_that_there_was_one() -> None:
    said = UserMessage((Text("what is it?"), Image("https://x/y.png")))
    fit = fitted(replace(REQUEST, messages=(said,)), lacking("images"), "big", output=1000)
    assert fit.messages == (UserMessage((Text("what is it?"), Text(NO_IMAGE))),)


def test_a_picture_that_is_told_as_a_line_leaves_room_for_words() -> None:
    """Counted as pictures, two of them would fill a small window and end the conversation."""
    said = UserMessage((Text("look"), *(Image("https://x/y.png"),) * 2))
    request = replace(REQUEST, tools=(), messages=(said,))
    assert window_as_asked(3000, request, ABLE, 1.0) == 3000
    assert window_as_asked(3000, request, lacking("images"), 1.0) >= 3000 + 2 * IMAGE_SAVES


def test_a_system_prompt_goes_before_the_first_words_of_the_user() -> None:
    said = (UserMessage((Text("hi"),)), AssistantMessage("yes?"))
    fit = fitted(replace(REQUEST, messages=said), lacking("system"), "big", output=1000)
    assert fit.system == ""
    assert fit.messages == (UserMessage((Text("Be brief.\n\n"), Text("hi"))), said[1])


def test_several_calls_become_one_after_the_other_each_with_its_result() -> None:
    calls = tuple(ToolCall(f"c{n}", "clock", "{}") for n in range(2))
    results = tuple(ToolMessage(call.id, "clock", f"it is {call.id}") for call in calls)
    said: Messages = (UserMessage((Text("hi"),)), AssistantMessage("both", calls), *results)
    fit = fitted(replace(REQUEST, messages=said), lacking("parallel_calls"), "big", output=1000)
    assert fit.messages == (
        said[0],
        AssistantMessage("both", calls[:1]),
        results[0],
        AssistantMessage("", calls[1:]),
        results[1],
    )


def test_what_is_left_out_is_left_out() -> None:
    warm = replace(REQUEST, temperature=0.2)
    fit = fitted(warm, lacking("temperature", "stream_options"), "big", output=1000)
    assert (fit.temperature, fit.dialect) == (None, Dialect(stream_options=False))


@pytest.mark.parametrize(
    ("member", "request_", "holds_it"),
    [
        ("tools", REQUEST, True),
        ("tools", replace(REQUEST, tools=(), messages=REQUEST.messages[:1]), False),
        ("images", REQUEST, False),
        ("system", replace(REQUEST, system=""), False),
        ("parallel_calls", REQUEST, False),
        ("temperature", REQUEST, False),
        ("stream_options", REQUEST, True),
        ("max_tokens", REQUEST, True),
        ("max_tokens", replace(REQUEST, dialect=Dialect("max_completion_tokens")), False),
    ],
)
def test_a_refusal_can_only_be_about_what_was_sent(
    member: str, request_: ModelRequest, holds_it: bool
) -> None:
    assert holds(request_, member) is holds_it


OURS = Opaque("k1", "big", '{"reasoning_content": "so"}')
THEIRS = Opaque("k2", "other", '{"reasoning_content": "so"}')


def exchange(name: str, opaque: Opaque | None, *, on_call: bool = False) -> Messages:
    call = ToolCall(name, "look", "{}", opaque if on_call else None)
    said = AssistantMessage("", (call,), opaque=None if on_call else opaque)
    return (UserMessage((Text("look"),)), said, ToolMessage(name, "look", "seen"))


def test_calls_that_others_made_become_text_where_thoughts_are_wanted_with_each() -> None:
    """DeepSeek, Kimi and Gemini refuse to go on from a call without the thoughts of its model."""
    own = (*exchange("a", OURS), *exchange("b", OURS, on_call=True)[1:])
    request = replace(REQUEST, messages=(*exchange("c", THEIRS), *own[1:], *exchange("d", None)))
    fit = fitted(request, lacking("foreign_calls"), "big", output=1000, profile="k1")
    called = [said for said in fit.messages if isinstance(said, AssistantMessage)]
    assert [(said.text, bool(said.tool_calls)) for said in called] == [
        ("[called look with {}]", False),
        ("", True),
        ("", True),
        (UNANSWERED, False),
        ("[called look with {}]", False),
    ]
    assert fit.tools == REQUEST.tools
    assert holds(request, "foreign_calls", profile="k1")
    assert not holds(fit, "foreign_calls", profile="k1")


def test_thoughts_are_left_out_where_they_are_not_taken() -> None:
    request = replace(REQUEST, messages=(*exchange("a", OURS), *exchange("b", OURS, on_call=True)))
    fit = fitted(request, lacking("thoughts"), "big", output=1000, profile="k1")
    assert holds(request, "thoughts", profile="k1")
    assert not holds(fit, "thoughts", profile="k1")
    assert not holds(request, "thoughts", profile="k2")
