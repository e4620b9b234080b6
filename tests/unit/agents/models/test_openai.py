from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest
from agents.models.openai import OpenAIModel
from agents.models.profile import Profile
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelFailed
from gateway.core.parts import Text
from gateway.simulate.server import simulating


async def ask(model: OpenAIModel) -> ModelReply:
    request = ModelRequest("m", "", (UserMessage((Text("hi"),)),))
    return await model.complete(request, ModelContext(ManualClock(), lambda text: None))


def test_importing_the_client_does_not_import_the_sdk() -> None:
    """`--help` has to answer before most of the SDK is even found on disk."""
    code = (
        "import sys, agents.models.openai;"
        "print([m for m in ('openai', 'httpx2', 'pydantic') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout
    assert found.strip() == "[]"


def test_the_repr_tells_the_profile_but_no_key() -> None:
    text = repr(OpenAIModel(Profile("https://example.org/v1", "sk-secret", "m", name="work")))
    assert "work" in text
    assert "https://example.org/v1" in text
    assert "secret" not in text


async def test_opening_ahead_of_time_asks_nothing() -> None:
    async with simulating() as upstream:
        model = OpenAIModel(Profile(upstream.base_url, "k", "m"))
        await model.open()
        await model.open()
        assert upstream.connections == 0
        assert (await ask(model)).text == "You said: hi"
        await model.close()


async def test_first_calls_at_once_share_one_client() -> None:
    async with simulating() as upstream:
        model = OpenAIModel(Profile(upstream.base_url, "k", "m"))
        await asyncio.gather(*(ask(model) for _ in range(5)))
        await ask(model)
        assert upstream.count == 6
        assert upstream.connections <= 5
        await model.close()


@pytest.mark.parametrize("opened", [False, True])
async def test_a_closed_client_stays_closed(opened: bool) -> None:
    async with simulating() as upstream:
        model = OpenAIModel(Profile(upstream.base_url, "k", "m"))
        if opened:
            await model.open()
        await model.close()
        with pytest.raises(ModelFailed, match="closed"):
            await ask(model)
        assert upstream.count == 0


async def test_cancelling_while_it_opens_leaves_it_usable() -> None:
    async with simulating() as upstream:
        model = OpenAIModel(Profile(upstream.base_url, "k", "m"))
        async with asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(model.open())
            await asyncio.sleep(0)  # noqa: TID251 - one step of the loop: it waits for the thread
            opening.cancel()
        assert (await ask(model)).text == "You said: hi"
        await model.close()


async def test_members_that_only_one_server_understands_go_with_every_request() -> None:
    async with simulating() as server:
        extra = {"repeat_penalty": 1.1, "logit_bias": {"7": -8}}
        model = OpenAIModel(Profile(server.base_url, "", "m", extra=extra))
        await ask(model)
        await model.close()
        (asked,) = server.asked
        assert asked.body["repeat_penalty"] == 1.1
        assert asked.body["logit_bias"] == {"7": -8}
