"""A request in words for the local model: what stays and what goes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agents.base import size
from agents.base.agents import Agent
from agents.base.identities import DEFAULT, FIRST_AGENT, REGISTERED
from agents.base.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from agents.base.models import ModelRequest, ToolSpec
from agents.models.local_prompt import CUT, IDENTITY_TOKENS, OUTPUT_TOKENS, SYSTEM, fit
from agents.prompt import system_prompt
from gateway.core.ids import AgentId
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


def test_a_long_conversation_stays_whole() -> None:
    """Nothing is left out in silence: what does not fit is refused by the server."""
    conversation: list[Message] = []
    for number in range(50):
        conversation += [said(f"question {number} " * 5), AssistantMessage(f"answer {number} " * 5)]
    assert fit(ask(*conversation, said("last")), model="tiny").messages[:-1] == tuple(conversation)


def test_of_long_instructions_it_is_told_the_beginning() -> None:
    small = fit(ask(said("hi"), system="begin " + "middle " * 5000), model="tiny")
    assert small.system.startswith("begin ")
    assert small.system.endswith(CUT)
    assert size.of_text(small.system) <= IDENTITY_TOKENS + 10


def test_only_the_identity_is_told_not_guidance_on_tools() -> None:
    small = fit(ask(said("hello"), system="You are Luna.\n\n## Tools\n\nUse them."), model="tiny")
    assert small.system == "You are Luna."


@pytest.mark.parametrize("identity", [FIRST_AGENT, DEFAULT, REGISTERED.format(name="Luna")])
def test_instructions_we_wrote_give_way_to_the_line_it_was_trained_with(identity: str) -> None:
    """It follows no rules, and answers a greeting with condolences when it is given any."""
    agent = Agent(AgentId("main"), "main", identity, Path(), guidance="Use them.")
    assert fit(ask(said("test"), system=system_prompt(agent)), model="tiny").system == SYSTEM


def test_an_operators_own_instructions_are_told_as_they_are() -> None:
    for own in (f"{FIRST_AGENT} You are a pirate.", "You are Luna.", f"Be rude. {DEFAULT}"):
        agent = Agent(AgentId("main"), "main", own, Path())
        assert fit(ask(said("test"), system=system_prompt(agent)), model="tiny").system == own


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
