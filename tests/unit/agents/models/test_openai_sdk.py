"""Every way an answer can go wrong, over real HTTP."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable

import pytest

from agents.base.messages import ToolCall, UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest, ToolSpec, Usage
from agents.models.openai import OpenAIModel
from agents.models.openai_sdk import SdkConnection
from agents.models.profile import Profile, Timeouts
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelCategory, ModelFailed
from gateway.core.parts import Text
from tests.support.upstream import Upstream
from tests.support.upstream_faults import FAULTS, GOOD, HELD
from tests.support.upstream_replies import Raw, Reply, refusal

KEY = "sk-live-0123456789abcdef"

FAILURES: dict[str, ModelCategory] = {
    "auth": "auth",
    "bad_request": "bad_request",
    "bare_string": "overloaded",
    "broken_json": "bad_response",
    "broken_utf8": "bad_response",
    "capacity": "overloaded",
    "comments_only": "bad_response",
    "cut_after_events": "truncated",
    "cut_at_once": "server",
    "cut_mid_event": "truncated",
    "deep_json": "bad_response",
    "empty": "bad_response",
    "empty_json": "bad_response",
    "endless": "bad_response",
    "endless_error": "bad_response",
    "ends_mid_event": "truncated",
    "error_event": "overloaded",
    "error_in_200": "server",
    "error_list_event": "quota",
    "error_list_in_200": "rate",
    "error_status_event": "overloaded",
    "error_string_event": "rate",
    "finish_abort": "truncated",
    "finish_error": "server",
    "flat_error_event": "rate",
    "forbidden": "auth",
    "garbage_event": "bad_response",
    "gateway_html": "server",
    "gzip": "bad_response",
    "html": "bad_response",
    "html_as_json": "bad_response",
    "huge_number": "bad_response",
    "list_body": "auth",
    "nameless_call": "bad_response",
    "no_choices": "bad_response",
    "no_finish": "truncated",
    "not_found": "not_found",
    "null_choices": "bad_response",
    "null_event": "bad_response",
    "number_event": "bad_response",
    "odd_calls": "bad_response",
    "odd_choices": "bad_response",
    "odd_content": "bad_response",
    "odd_delta": "bad_response",
    "overflow": "overflow",
    "overloaded": "overloaded",
    "payment": "quota",
    "plain_json_cut": "truncated",
    "quota": "quota",
    "rate": "rate",
    "rate_bare": "rate",
    "rate_ms": "rate",
    "redirect": "not_found",
    "request_timeout": "timeout",
    "server": "server",
    "string_body": "not_found",
    "string_error_in_200": "server",
    "string_in_200": "server",
    "too_large": "too_large",
    "too_many_calls": "bad_response",
    "unavailable": "overloaded",
    "unprocessable": "bad_request",
}

HELLO = ModelReply("Hello", usage=Usage(), model="test", profile="default")


def called(*calls: ToolCall) -> ModelReply:
    return ModelReply("", calls, "tool_calls", Usage(), "test", "default")


ANSWERS: dict[str, ModelReply] = {
    "arguments_garbage": called(ToolCall("a", "read_file", "{oops")),
    "arguments_object": called(ToolCall("a", "read_file", '{"path": "x"}')),
    "arguments_split": called(ToolCall("a", "read_file", '{"path": "nötes.md"}')),
    "byte_by_byte": HELLO,
    "comments": HELLO,
    "content_parts": HELLO,
    "filtered": ModelReply("Hel", (), "content_filter", Usage(), "test", "default"),
    "length": ModelReply("Hello", (), "length", Usage(), "test", "default"),
    "no_done": HELLO,
    "no_index": called(ToolCall("a", "one", "{}"), ToolCall("b", "two", "{}")),
    "no_usage": HELLO,
    "null_delta": HELLO,
    "plain_json": ModelReply("Hello", (), "stop", Usage(7, 3), "test", "default"),
    "same_id": called(ToolCall("a", "one", "{}"), ToolCall("a", "two", "{}")),
    "same_index": called(ToolCall("a", "one", "{}"), ToolCall("b", "two", "{}")),
}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def model(upstream: Upstream) -> AsyncIterator[OpenAIModel]:
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


def test_every_fault_of_the_double_is_expected_here() -> None:
    assert FAULTS.keys() == FAILURES.keys() | ANSWERS.keys() | HELD.keys()
    assert GOOD.keys() <= ANSWERS.keys()


@pytest.mark.parametrize("fault", sorted(FAILURES))
async def test_what_is_no_answer_is_a_typed_failure_and_the_client_stays_usable(
    model: OpenAIModel, upstream: Upstream, fault: str
) -> None:
    failure = await fails(model, f"fault:{fault}")
    assert failure.category == FAILURES[fault]
    assert KEY not in f"{failure} {failure!r}"
    # The SDK's own errors hold the request, key included: none may ride along into a log.
    assert failure.__cause__ is None
    assert failure.__context__ is None
    assert (await ask(model)).text == "You said: hello"
    assert upstream.count == 2


@pytest.mark.parametrize("fault", sorted(ANSWERS))
async def test_what_is_an_answer_is_taken_whole(model: OpenAIModel, fault: str) -> None:
    heard: list[str] = []
    reply = await ask(model, f"fault:{fault}", heard=heard)
    assert reply == ANSWERS[fault]
    assert "".join(heard) == reply.text


async def test_nothing_is_retried(model: OpenAIModel, upstream: Upstream) -> None:
    for fault in ("rate", "server", "unavailable", "cut_at_once", "request_timeout"):
        before = upstream.count
        await fails(model, f"fault:{fault}")
        assert upstream.count == before + 1


async def test_the_providers_hint_comes_along(model: OpenAIModel) -> None:
    assert (await fails(model, "fault:rate")).retry_after_ms == 7000
    assert (await fails(model, "fault:rate_ms")).retry_after_ms == 1500
    assert (await fails(model, "fault:rate_bare")).retry_after_ms is None


async def test_a_hint_may_be_a_date(model: OpenAIModel, upstream: Upstream) -> None:
    clock = ManualClock(now_ms=1_445_412_450_000)
    upstream.script.append(
        refusal(429, {"message": "later"}, retry_after="Wed, 21 Oct 2015 07:28:00 GMT")
    )
    with pytest.raises(ModelFailed) as raised:
        await ask(model, clock=clock)
    assert raised.value.retry_after_ms == 30_000


async def test_the_operator_reads_what_the_provider_said_but_no_key(
    model: OpenAIModel, upstream: Upstream
) -> None:
    said = f"Incorrect API key provided: {KEY}\nalso sk-other-12345, Bearer abc.def \x1b[31m"
    upstream.script.append(refusal(401, {"message": said}))
    failure = await fails(model)
    assert "refused with status 401: Incorrect API key provided: [key]" in str(failure)
    for secret in (KEY, "sk-other", "abc.def", "\x1b", "\n"):
        assert secret not in str(failure)


async def test_an_error_text_without_end_is_quoted_in_part(
    model: OpenAIModel, upstream: Upstream
) -> None:
    upstream.script.append(refusal(400, {"message": "x" * 100_000}))
    assert len(str(await fails(model))) < 500


async def test_a_redirect_takes_the_key_nowhere(model: OpenAIModel, upstream: Upstream) -> None:
    async with Upstream() as other:
        upstream.script.append(Raw((), 307, {"location": f"{other.base_url}/chat/completions"}))
        assert (await fails(model)).category == "not_found"
        assert (upstream.count, other.count) == (1, 0)


async def test_the_request_carries_what_was_asked_for(
    model: OpenAIModel, upstream: Upstream
) -> None:
    tool = ToolSpec("look", "Looks.", '{"type": "object"}')
    request = ModelRequest("m", "Be.", (UserMessage((Text("hi"),)),), (tool,), 99, 0.5)
    await model.complete(request, ModelContext(ManualClock(), lambda _: None))
    (call,) = upstream.calls
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
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
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
        headers = upstream.calls[-1].headers
        assert headers.get("authorization") == expected
        assert "from-the-environment" not in str(dict(headers))


async def test_the_profiles_model_is_asked_where_the_request_names_none(
    model: OpenAIModel, upstream: Upstream
) -> None:
    await ask(model, "")
    assert upstream.calls[0].model == "test"


async def test_nobody_there_is_a_failure_that_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    model = OpenAIModel(Profile(f"http://127.0.0.1:{port}/v1", KEY, "test"))
    failure = await fails(model)
    await model.close()
    assert failure.category == "server"
    assert "could not be reached" in str(failure)


@pytest.mark.parametrize("fault", ["silent", "silent_after_text"])
async def test_silence_ends_at_the_idle_bound(upstream: Upstream, fault: str) -> None:
    """The bound is on the socket and therefore real time; here it is a hundredth of a second."""
    model = OpenAIModel(Profile(upstream.base_url, KEY, "test"), timeouts=Timeouts(idle_s=0.01))
    failure = await fails(model, f"fault:{fault}")
    await model.close()
    assert failure.category == "timeout"


@pytest.mark.parametrize("fault", ["silent", "silent_after_text"])
async def test_an_answer_that_takes_too_long_as_a_whole_ends(
    model: OpenAIModel, upstream: Upstream, fault: str
) -> None:
    clock = ManualClock()
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_outcome(ask(model, f"fault:{fault}", clock=clock)))
        call = await upstream.wait_for(1)
        await clock.advance(599)
        assert not asking.done()
        await clock.advance(1)
        await call.gone.wait()
    outcome = asking.result()
    assert isinstance(outcome, ModelFailed)
    assert outcome.category == "timeout"
    assert "600 s" in str(outcome)


@pytest.mark.parametrize("fault", ["silent", "silent_after_text"])
async def test_cancelling_closes_the_upstream_request(
    model: OpenAIModel, upstream: Upstream, fault: str
) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(model, f"fault:{fault}"))
        call = await upstream.wait_for(1)
        asking.cancel()
        await call.gone.wait()
    assert asking.cancelled()
    assert (await ask(model)).text == "You said: hello"


async def test_closing_ends_what_is_under_way(model: OpenAIModel, upstream: Upstream) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_outcome(ask(model, "fault:silent")))
        await upstream.wait_for(1)
        await model.close()
    assert isinstance(asking.result(), ModelFailed)


async def test_a_client_closed_between_opening_and_asking_is_a_failure(
    upstream: Upstream,
) -> None:
    connection = SdkConnection(Profile(upstream.base_url, KEY, "test"), Timeouts())
    await connection.close()
    with pytest.raises(ModelFailed, match="closed") as raised:
        await connection.ask(
            ModelRequest("m", "", ()), ModelContext(ManualClock(), lambda text: None)
        )
    assert raised.value.category == "server"


async def test_connections_are_used_again(model: OpenAIModel, upstream: Upstream) -> None:
    for _ in range(5):
        await ask(model)
    assert upstream.connections == 1


async def test_usage_is_taken_from_the_end_of_the_stream(
    model: OpenAIModel, upstream: Upstream
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
