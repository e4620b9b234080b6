"""What the client sends and what it makes of answers, over real HTTP.

What each fault leads to is in `tests/contract/test_simulator.py`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace

import pytest
import structlog

from agents.base.messages import ToolCall, UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest, ToolSpec, Usage
from agents.models.openai import OpenAIModel
from agents.models.openai_sdk import SdkConnection
from agents.models.profile import Profile, Timeouts
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelFailed
from gateway.core.parts import Text
from gateway.simulate.answers import MODEL, Ending, Raw, Reply, document, refusal
from gateway.simulate.catalog import FAULTS
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator

KEY = "sk-live-0123456789abcdef"

HELLO = ModelReply("Hello", usage=Usage(), model=MODEL, profile="default")
COUNTED = replace(HELLO, usage=Usage(7, 3))


def called(*calls: ToolCall) -> ModelReply:
    return ModelReply("", calls, "tool_calls", Usage(), MODEL, "default")


ANSWERS: dict[str, ModelReply] = {
    "arguments-garbage": called(ToolCall("a", "read_file", "{oops")),
    "arguments-object": called(ToolCall("a", "read_file", '{"path": "x"}')),
    "arguments-split": called(ToolCall("a", "read_file", '{"path": "nötes.md"}')),
    "byte-by-byte": HELLO,
    "calls-no-index": called(ToolCall("a", "one", "{}"), ToolCall("b", "two", "{}")),
    "calls-same-id": called(ToolCall("a", "one", "{}"), ToolCall("a", "two", "{}")),
    "calls-same-index": called(ToolCall("a", "one", "{}"), ToolCall("b", "two", "{}")),
    "comments": HELLO,
    "content-filter": replace(HELLO, text="Hel", finish_reason="content_filter"),
    "content-parts": HELLO,
    "deaf": HELLO,
    "duplicates": replace(HELLO, text="HelHello"),
    "length": replace(HELLO, finish_reason="length"),
    "many-events": replace(HELLO, text="x" * 100_000),
    "no-done": HELLO,
    "no-usage": HELLO,
    "null-delta": HELLO,
    "plain-json": COUNTED,
    "silent-overflow": replace(HELLO, usage=Usage(4, 1)),
    "stale": HELLO,
    "unknown-fields": HELLO,
    "unknown-tool": called(ToolCall("a", "no_such_tool", "{}")),
    "usage-garbage": HELLO,
    "usage-twice": COUNTED,
    "wrong-content-type": COUNTED,
}


@pytest.fixture
async def upstream() -> AsyncIterator[Simulator]:
    async with simulating() as upstream:
        yield upstream


@pytest.fixture
async def model(upstream: Simulator) -> AsyncIterator[OpenAIModel]:
    model = OpenAIModel(Profile(upstream.base_url, KEY, "test"))
    yield model
    await model.close()


async def ask(
    model: OpenAIModel,
    name: str = "test",
    *,
    text: str = "hello",
    heard: list[str] | None = None,
    clock: ManualClock | None = None,
) -> ModelReply:
    request = ModelRequest(name, "", (UserMessage((Text(text),)),))

    def emit(text: str) -> None:
        if heard is not None:
            heard.append(text)

    return await model.complete(request, ModelContext(clock or ManualClock(), emit))


async def fails(model: OpenAIModel, name: str = "test") -> ModelFailed:
    with pytest.raises(ModelFailed) as raised:
        await ask(model, name)
    return raised.value


def test_every_fault_that_is_an_answer_is_expected_here() -> None:
    answers = {f.name for f in FAULTS.values() if f.leads_to == "answer" and not f.waits}
    assert answers == ANSWERS.keys()


@pytest.mark.parametrize("fault", sorted(ANSWERS))
async def test_what_is_an_answer_is_taken_whole(model: OpenAIModel, fault: str) -> None:
    heard: list[str] = []
    reply = await ask(model, f"fault:{fault}", heard=heard)
    assert reply == ANSWERS[fault]
    assert "".join(heard) == reply.text


async def test_nothing_is_retried(model: OpenAIModel, upstream: Simulator) -> None:
    for fault in ("rate-limit-seconds", "server", "unavailable", "request-timeout"):
        before = upstream.count
        await fails(model, f"fault:{fault}")
        assert upstream.count == before + 1


async def test_a_stream_without_any_event_is_asked_for_once_in_one_piece(
    model: OpenAIModel, upstream: Simulator
) -> None:
    """llama-cpp-python says only then what was wrong with the request."""
    for silent in (Raw((), 200, {}), Raw((b": hi\n\n",)), Raw((b"",), ending=Ending.CUT)):
        upstream.script += [silent, Reply("Hello")]
        assert (await ask(model)).text == "Hello"
        upstream.script += [
            silent,
            refusal(400, {"message": "maximum context length is 512 tokens"}),
        ]
        failure = await fails(model)
        assert (failure.category, failure.window) == ("overflow", 512)
    streamed = ["stream" in call.body for call in upstream.asked]
    assert streamed == [True, False] * 6


async def test_a_template_that_opens_a_thought_is_known_from_the_second_answer_on(
    model: OpenAIModel, upstream: Simulator
) -> None:
    for _ in range(2):
        upstream.script.append(Reply("I must not tell.\n</think>\n\nHello!", deltas=6))
    first: list[str] = []
    second: list[str] = []
    assert (await ask(model, heard=first)).text == "Hello!"
    assert (await ask(model, heard=second)).text == "Hello!"
    assert "must not" in "".join(first)  # and then taken back
    assert "".join(second) == "Hello!"


async def test_impossible_counts_are_none_and_told_once(
    model: OpenAIModel, upstream: Simulator
) -> None:
    """One beyond the budget of a day would keep everybody out until the next."""
    usage = {"prompt_tokens": 2**64, "completion_tokens": 10**7}
    choice = {"message": {"content": "Hello"}, "finish_reason": "stop"}
    with structlog.testing.capture_logs() as logs:
        for _ in range(2):
            upstream.script.append(document({"choices": [choice], "usage": usage}))
            reply = await ask(model)
            assert (reply.text, reply.usage) == ("Hello", Usage())
    told = [line for line in logs if line["event"] == "model.impossible_count"]
    assert [line["profile"] for line in told] == ["default"]


async def test_the_operator_reads_what_the_provider_said_but_no_key(
    model: OpenAIModel, upstream: Simulator
) -> None:
    said = f"Incorrect API key provided: {KEY}\nalso sk-other-12345, Bearer abc.def \x1b[31m"
    upstream.script.append(refusal(401, {"message": said}))
    failure = await fails(model)
    assert "refused with status 401: Incorrect API key provided: [key]" in str(failure)
    for secret in (KEY, "sk-other", "abc.def", "\x1b", "\n"):
        assert secret not in str(failure)


async def test_an_error_text_without_end_is_quoted_in_part(
    model: OpenAIModel, upstream: Simulator
) -> None:
    upstream.script.append(refusal(400, {"message": "x" * 100_000}))
    assert len(str(await fails(model))) < 500


async def test_a_redirect_takes_the_key_nowhere(model: OpenAIModel, upstream: Simulator) -> None:
    async with simulating() as other:
        upstream.script.append(Raw((), 307, {"location": f"{other.base_url}/chat/completions"}))
        assert (await fails(model)).category == "not_found"
        assert (upstream.count, other.count) == (1, 0)


async def test_the_request_carries_what_was_asked_for(
    model: OpenAIModel, upstream: Simulator
) -> None:
    tool = ToolSpec("look", "Looks.", '{"type": "object"}')
    request = ModelRequest("m", "Be.", (UserMessage((Text("hi"),)),), (tool,), 99, 0.5)
    await model.complete(request, ModelContext(ManualClock(), lambda _: None))
    (call,) = upstream.asked
    assert call.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 99,
        "temperature": 0.5,
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "look",
                    "description": "Looks.",
                    "parameters": {"type": "object"},
                },
            }
        ],
    }
    assert call.headers["authorization"] == f"Bearer {KEY}"
    assert call.headers["accept-encoding"] == "identity"


async def test_nothing_of_the_environment_reaches_the_server(
    upstream: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK and its HTTP library read all of these unless told not to."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "from-the-environment")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer from-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/from-the-environment")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for key, expected in ((KEY, f"Bearer {KEY}"), ("", None)):
        model = OpenAIModel(Profile(upstream.base_url, key, "test"))
        await ask(model)
        await model.close()
        headers = upstream.asked[-1].headers
        assert headers.get("authorization") == expected
        assert "from-the-environment" not in str(dict(headers))


async def test_the_profiles_model_is_asked_where_the_request_names_none(
    model: OpenAIModel, upstream: Simulator
) -> None:
    await ask(model, "")
    assert upstream.asked[0].model == "test"


async def test_nobody_there_is_a_failure_that_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    model = OpenAIModel(Profile(f"http://127.0.0.1:{port}/v1", KEY, "test"))
    failure = await fails(model)
    await model.close()
    assert failure.category == "server"
    assert "could not be reached" in str(failure)


@pytest.mark.parametrize("fault", ["silent", "silent-after-text"])
async def test_silence_ends_at_the_idle_bound(upstream: Simulator, fault: str) -> None:
    """The bound is on the socket and therefore real time; here it is a hundredth of a second."""
    model = OpenAIModel(Profile(upstream.base_url, KEY, "test"), timeouts=Timeouts(idle_s=0.01))
    failure = await fails(model, f"fault:{fault}")
    await model.close()
    assert failure.category == "timeout"


@pytest.mark.parametrize("fault", ["silent", "silent-after-text"])
async def test_cancelling_closes_the_upstream_request(
    model: OpenAIModel, upstream: Simulator, fault: str
) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(model, f"fault:{fault}"))
        call = await upstream.wait_for(1)
        asking.cancel()
        await call.gone.wait()
    assert asking.cancelled()
    assert (await ask(model)).text == "You said: hello"


async def test_closing_ends_what_is_under_way(model: OpenAIModel, upstream: Simulator) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_outcome(ask(model, "fault:silent")))
        await upstream.wait_for(1)
        await model.close()
    assert isinstance(asking.result(), ModelFailed)


async def test_a_client_closed_between_opening_and_asking_is_a_failure(
    upstream: Simulator,
) -> None:
    connection = SdkConnection(Profile(upstream.base_url, KEY, "test"), Timeouts())
    await connection.close()
    with pytest.raises(ModelFailed, match="closed") as raised:
        await connection.ask(
            ModelRequest("m", "", ()), ModelContext(ManualClock(), lambda text: None)
        )
    assert raised.value.category == "server"


async def test_connections_are_used_again(model: OpenAIModel, upstream: Simulator) -> None:
    for _ in range(5):
        await ask(model)
    assert upstream.connections == 1


async def test_usage_is_taken_from_the_end_of_the_stream(
    model: OpenAIModel, upstream: Simulator
) -> None:
    upstream.script.append(Reply("fine", usage=(11, 22)))
    reply = await ask(model)
    assert (reply.usage, reply.profile) == (Usage(11, 22), "default")


async def test_no_log_of_ours_or_the_sdks_holds_the_key(
    model: OpenAIModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await ask(model)
    await fails(model, "fault:auth")
    assert KEY not in caplog.text


async def _outcome(asking: Awaitable[ModelReply]) -> ModelReply | ModelFailed:
    try:
        return await asking
    except ModelFailed as failure:
        return failure
