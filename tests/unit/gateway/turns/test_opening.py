"""Messages are taken while the model opens, and the status says how that goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agents.models.scripted import ScriptedModel
from gateway.client import Client
from gateway.composition.root import Chosen
from gateway.composition.serving import serving
from gateway.core.clock import SystemClock
from gateway.core.errors import ModelFailed
from gateway.settings.network import TOKEN_FILE
from gateway.settings.settings import Settings
from gateway.turns.opening import MB, Opening

pytestmark = pytest.mark.timeout(20)


class Opens(ScriptedModel):
    """A model that opens when told to, or fails to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_open = asyncio.Event()
        self.error: Exception | None = None

    async def open(self) -> None:
        await self.may_open.wait()
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def listening(home: Path, model: Opens) -> AsyncIterator[Client]:
    settings = Settings(
        turngate_home=home / "home",
        workspace_dir=home / "workspace",
        turngate_port=0,
        turngate_model="scripted",
    )
    async with serving(
        settings, own_process=False, announce=lambda url: None, chosen=Chosen(model=model)
    ) as served:
        token = (home / "home" / TOKEN_FILE).read_text("utf-8").strip()
        async with Client(served.server.url, token, clock=SystemClock()) as client:
            yield client


async def how(client: Client) -> tuple[Any, Any]:
    status = await client.call("status", {})
    return status["model_state"], status["model_problem"]


async def test_a_message_is_accepted_before_the_model_is_open_and_answered_after(
    tmp_path: Path,
) -> None:
    model = Opens()
    async with listening(tmp_path, model) as client:
        started = await client.start("good morning")
        assert await how(client) == ("loading", "")
        waited = await client.wait(started.turn_id, wait_ms=0)
        assert (waited.state, waited.reply, model.calls) == ("queued", None, 0)
        model.may_open.set()
        answer = await client.wait(started.turn_id)
        assert (answer.state, answer.reply) == ("answered", "You said: good morning")
        assert await how(client) == ("ready", "")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelFailed("server", "the weights are not there"), "the weights are not there"),
        (RuntimeError("secret of a library"), "the reason is in the log"),
    ],
)
async def test_what_could_not_be_opened_says_so_until_it_answers(
    tmp_path: Path, error: Exception, said: str
) -> None:
    model = Opens()
    model.error = error
    model.may_open.set()
    async with listening(tmp_path, model) as client:
        while (await how(client))[0] == "loading":
            pass
        assert await how(client) == ("failed", said)
        answer = await client.send("good morning")
        assert answer.state == "answered"
        assert await how(client) == ("ready", "")


def test_a_download_is_told_in_megabytes() -> None:
    opening = Opening()
    opening.fetched(34 * MB, 98 * MB)
    assert (opening.state, opening.note) == ("downloading", "34 of 98 MB")
    opening.fetched(98 * MB, 98 * MB)
    assert (opening.state, opening.note) == ("loading", "")
