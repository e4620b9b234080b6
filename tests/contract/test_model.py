"""What every model does: the scripted one, the OpenAI client and the local model.

All answer by the same script; the clients get it over HTTP, from a server that runs it. The local
model has no tools; what it does with real weights is in `tests/acceptance/test_local_model.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agents.base.messages import (
    AssistantMessage,
    Message,
    Messages,
    ToolCall,
    ToolMessage,
    UserMessage,
    to_json,
)
from agents.base.models import Model, ModelContext, ModelReply, ModelRequest, ToolSpec
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from agents.models.scripted import Call, Rule, ScriptedModel
from gateway.core.clock import ManualClock, settle
from gateway.core.errors import ModelFailed
from gateway.core.parts import Image, Text
from gateway.simulate.answers import Raw, Reply, refusal
from gateway.simulate.asked import Asked
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Answer
from tests.support import local

LOOKUP = ToolSpec("lookup", "Look a word up.", '{"type": "object", "properties": {}}')

RULES = (
    Rule(r"^say (.*)", r"\1"),
    Rule(r"^look up (\w+)", "Found: {results}", (Call("lookup", r'{"word": "\1"}'),)),
    Rule(r"^look twice", "{results}", (Call("lookup", '{"n": 1}'), Call("lookup", '{"n": 2}'))),
    Rule(r"^too fast", fail="rate", retry_after_ms=7000),
    Rule(r"^too long", fail="overflow"),
    Rule(r"^be brief", "Once upon a", finish_reason="length"),
    Rule(r"^wait", "late", latency_s=30.0),
)

Script = Callable[[Asked], Awaitable[Answer]]


def script(rules: tuple[Rule, ...]) -> Script:
    """The rules as a server's answers."""
    scripted = ScriptedModel(rules)

    async def answer(call: Asked) -> Answer:
        tools = tuple(
            ToolSpec(tool["function"]["name"], "", "{}") for tool in call.body.get("tools", ())
        )
        request = ModelRequest(call.model, "", read_messages(call), tools)
        if call.user_text.startswith("wait"):
            return Reply("late", hold=True)
        try:
            reply = await scripted.complete(request, ModelContext(ManualClock(), lambda _: None))
        except ModelFailed as failure:
            return refused(failure)
        calls = tuple((asked.name, asked.arguments) for asked in reply.tool_calls)
        return Reply(reply.text, calls, reply.finish_reason)

    return answer


def refused(failure: ModelFailed) -> Raw:
    if failure.category == "rate":
        return refusal(429, {"message": "slow down"}, retry_after="7")
    return refusal(400, {"message": "too long", "code": "context_length_exceeded"})


def read_messages(call: Asked) -> Messages:
    """The request's messages, as the client must have written them."""
    read: list[Message] = []
    for message in call.messages:
        match message["role"]:
            case "user" if isinstance(message["content"], str):
                read.append(UserMessage((Text(message["content"]),)))
            case "user":
                read.append(UserMessage((Text(call.user_text),)))
            case "assistant":
                calls = tuple(
                    ToolCall(made["id"], made["function"]["name"], made["function"]["arguments"])
                    for made in message.get("tool_calls", ())
                )
                read.append(AssistantMessage(message["content"] or "", calls))
            case "tool":
                read.append(ToolMessage(message["tool_call_id"], "lookup", message["content"]))
    return tuple(read)


@asynccontextmanager
async def scripted_model() -> AsyncIterator[Model]:
    model = ScriptedModel(RULES)
    yield model
    await model.close()


@asynccontextmanager
async def openai_model() -> AsyncIterator[Model]:
    async with simulating(answer=script(RULES)) as upstream:
        model = OpenAIModel(Profile(upstream.base_url, "sk-test-key", "test"))
        yield model
        await model.close()


@asynccontextmanager
async def local_model(folder: Path) -> AsyncIterator[Model]:
    async with simulating(answer=script(RULES)) as upstream:
        model = local.local_model(folder, upstream.base_url)
        yield model
        await model.close()


@pytest.fixture(params=[scripted_model, openai_model], ids=["scripted", "openai"])
async def tool_model(request: pytest.FixtureRequest) -> AsyncIterator[Model]:
    """One that takes tools."""
    async with request.param() as model:
        yield model


@pytest.fixture(params=["scripted", "openai", "local"])
async def model(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Model]:
    made = {"scripted": scripted_model, "openai": openai_model}.get(request.param)
    async with made() if made is not None else local_model(tmp_path) as model:
        yield model


class Heard(list[str]):
    """Takes deltas."""

    def __call__(self, text: str) -> None:
        self.append(text)


def ask(*messages: Message, text: str = "") -> ModelRequest:
    said = messages or (UserMessage((Text(text),)),)
    return ModelRequest("test", "You are a test.", said, (LOOKUP,))


async def complete(model: Model, request: ModelRequest, heard: Heard | None = None) -> ModelReply:
    return await model.complete(
        request, ModelContext(ManualClock(), Heard() if heard is None else heard)
    )


async def test_the_pieces_add_up_to_the_answer(model: Model) -> None:
    heard = Heard()
    reply = await complete(model, ask(text="say grüß Gott, 世界 🌍"), heard)
    assert reply.text == "grüß Gott, 世界 🌍"
    assert "".join(heard) == reply.text
    assert len(heard) > 1
    assert reply.finish_reason == "stop"
    assert reply.tool_calls == ()


async def test_an_answer_says_what_it_cost_and_who_gave_it(model: Model) -> None:
    reply = await complete(model, ask(text="say hello"))
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0
    assert reply.model
    assert reply.profile


async def test_tools_are_asked_for_and_their_results_are_used(tool_model: Model) -> None:
    user = UserMessage((Text("look up gate"),))
    first = await complete(tool_model, ask(user))
    (call,) = first.tool_calls
    assert (call.name, call.arguments) == ("lookup", '{"word": "gate"}')
    assert call.id
    assert first.finish_reason == "tool_calls"
    second = await complete(
        tool_model,
        ask(user, AssistantMessage("", first.tool_calls), ToolMessage(call.id, "lookup", "a door")),
    )
    assert second.text == "Found: a door"
    assert second.tool_calls == ()


async def test_calls_side_by_side_have_ids_of_their_own(tool_model: Model) -> None:
    reply = await complete(tool_model, ask(text="look twice"))
    first, second = reply.tool_calls
    assert [first.arguments, second.arguments] == ['{"n": 1}', '{"n": 2}']
    assert first.id != second.id


async def test_a_refusal_is_typed_and_says_when_to_come_back(model: Model) -> None:
    with pytest.raises(ModelFailed) as failure:
        await complete(model, ask(text="too fast"))
    assert failure.value.category == "rate"
    assert failure.value.retry_after_ms == 7000
    with pytest.raises(ModelFailed) as failure:
        await complete(model, ask(text="too long"))
    assert failure.value.category == "overflow"
    assert failure.value.retry_after_ms is None


async def test_a_failure_does_not_spoil_the_next_call(model: Model) -> None:
    with pytest.raises(ModelFailed):
        await complete(model, ask(text="too fast"))
    assert (await complete(model, ask(text="say fine"))).text == "fine"


async def test_an_answer_cut_at_its_limit_says_so(model: Model) -> None:
    reply = await complete(model, ask(text="be brief"))
    assert (reply.text, reply.finish_reason) == ("Once upon a", "length")


async def test_a_cancelled_call_ends_and_leaves_the_model_usable(model: Model) -> None:
    async with asyncio.TaskGroup() as tasks:
        heard = Heard()
        waiting = tasks.create_task(complete(model, ask(text="wait"), heard))
        await settle()
        waiting.cancel()
    assert waiting.cancelled()
    assert heard == []
    assert (await complete(model, ask(text="say fine"))).text == "fine"


async def test_calls_at_once_do_not_mix(model: Model) -> None:
    heard = [Heard() for _ in range(8)]
    replies = await asyncio.gather(
        *(complete(model, ask(text=f"say number {n}"), heard[n]) for n in range(8))
    )
    assert [reply.text for reply in replies] == [f"number {n}" for n in range(8)]
    assert ["".join(pieces) for pieces in heard] == [f"number {n}" for n in range(8)]


async def test_attachments_and_odd_characters_reach_the_model(model: Model) -> None:
    """A lone surrogate is in no UTF-8; it comes from broken clients and must not end a session."""
    user = UserMessage((Text("say ok \ud800"), Image("https://example.org/a.png")))
    assert (await complete(model, ask(user))).text.startswith("ok")


async def test_closing_twice_is_closing_once(model: Model) -> None:
    await complete(model, ask(text="say hello"))
    await model.close()
    await model.close()


async def test_stored_calls_read_back_the_same(tool_model: Model) -> None:
    """What a model asks for survives being written down and read again."""
    reply = await complete(tool_model, ask(text="look up gate"))
    stored = to_json(AssistantMessage(reply.text, reply.tool_calls))
    assert stored["tool_calls"][0]["arguments"] == reply.tool_calls[0].arguments
