"""A request cut to what a profile can take, by hand."""

from __future__ import annotations

from dataclasses import replace

from agents.base.messages import AssistantMessage, ToolCall, ToolMessage, UserMessage
from agents.base.models import ModelRequest, ToolSpec
from agents.models.profile import Profile
from agents.resilience.plain import MAX_RESULT_CHARS, NO_IMAGE, NO_TOOLS, fitted
from gateway.core.parts import Image, Text

ABLE = Profile("http://h/v1", "", "big")
TALKS_ONLY = replace(ABLE, tools=False)
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
    fit = fitted(
        replace(REQUEST, messages=(said,)), replace(ABLE, images=False), "big", output=1000
    )
    assert fit.messages == (UserMessage((Text("what is it?"), Text(NO_IMAGE))),)
