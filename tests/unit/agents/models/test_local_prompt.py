"""A request made small: what stays, what goes, and that it is always small."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agents.base.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from agents.base.models import ModelRequest, ToolSpec
from agents.models.local_prompt import MESSAGE_TOKENS, OUTPUT_TOKENS, PROMPT_TOKENS, fit, tokens
from gateway.core.parts import Image, Text, text_of


def ask(*messages: Message, system: str = "You are brief.") -> ModelRequest:
    return ModelRequest("any", system, messages, (ToolSpec("lookup", "", "{}"),))


def said(text: str) -> UserMessage:
    return UserMessage((Text(text),))


def words(message: Message) -> str:
    return text_of(message.parts) if isinstance(message, UserMessage) else message.text


def test_a_short_conversation_stays_as_it_is_but_for_the_tools() -> None:
    conversation = (said("hello"), AssistantMessage("hi"), said("and?"))
    small = fit(ask(*conversation), model="tiny")
    assert small.messages == conversation
    assert (small.model, small.system, small.tools) == ("tiny", "You are brief.", ())
    assert small.max_tokens == OUTPUT_TOKENS


def test_of_a_long_conversation_the_newest_stays() -> None:
    conversation: list[Message] = []
    for number in range(50):
        conversation += [said(f"question {number} " * 5), AssistantMessage(f"answer {number} " * 5)]
    small = fit(ask(*conversation, said("the last one")), model="tiny")
    assert words(small.messages[-1]) == "the last one"
    assert isinstance(small.messages[0], UserMessage)
    assert 2 < len(small.messages) < 50


def test_of_a_message_that_is_too_long_both_ends_stay() -> None:
    small = fit(ask(said("begin " + "middle " * 5000 + "end")), model="tiny")
    (message,) = small.messages
    assert words(message).startswith("begin ")
    assert words(message).endswith("end")


def test_only_the_identity_is_told_not_guidance_on_tools() -> None:
    small = fit(ask(said("hello"), system="You are Luna.\n\n## Tools\n\nUse them."), model="tiny")
    assert small.system == "You are Luna."


def test_what_tools_said_is_told_as_text() -> None:
    call = ToolCall("c1", "lookup", "{}")
    conversation = (
        said("look"),
        AssistantMessage("", (call,)),
        ToolMessage("c1", "lookup", "door"),
    )
    small = fit(ask(*conversation, AssistantMessage("A door."), said("again")), model="tiny")
    assert "door" in "".join(map(words, small.messages[:3]))
    assert not any(isinstance(message, ToolMessage) for message in small.messages)


def test_an_image_is_told_as_text() -> None:
    small = fit(ask(UserMessage((Text("see"), Image("https://example.org/a.png")))), model="tiny")
    (message,) = small.messages
    assert isinstance(message, UserMessage)
    assert all(isinstance(part, Text) for part in message.parts)


def test_a_temperature_that_was_asked_for_holds() -> None:
    assert fit(replace(ask(said("hi")), temperature=1.0), model="tiny").temperature == 1.0


texts = st.text(max_size=3000) | st.text("0123456789 ", max_size=3000)
messages = st.lists(
    st.builds(said, texts) | st.builds(AssistantMessage, texts), min_size=1, max_size=8
)


@given(messages, texts, texts)
def test_it_is_always_small_and_never_empty(
    conversation: list[Message], system: str, last: str
) -> None:
    """With a surrogate, a page of digits, or a script of three bytes a character."""
    small = fit(ask(*conversation, said(last), system=system), model="tiny")
    cost = sum(tokens(words(message)) + MESSAGE_TOKENS for message in small.messages)
    assert cost + tokens(small.system) + MESSAGE_TOKENS <= PROMPT_TOKENS
    assert small.messages
