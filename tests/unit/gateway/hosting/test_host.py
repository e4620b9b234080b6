"""Channels that fail, hang, come and go, on a real outbox, by a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from channels.base.channel import Capabilities, Intake
from channels.base.messages import Outbound, Receipt
from channels.memory import MemoryChannel
from channels.websocket import WebSocketChannel
from gateway.core.clock import settle
from gateway.core.errors import Conflict, NotFound
from gateway.core.keys import DEFAULT_ACCOUNT
from gateway.hosting.host import ChannelHost, ChannelInfo, ChannelState
from gateway.hosting.restarts import STEADY_S
from gateway.store.sqlite.store import open_sqlite
from tests.support.cutting import CuttableStore
from tests.support.patience import PATIENCE_S
from tests.support.standins import Middle
from tests.unit.channels.recording import RecordingIntake
from tests.unit.gateway.delivery.post import Post

MEMORY = ("memory", DEFAULT_ACCOUNT)
WEAK = ("weak", DEFAULT_ACCOUNT)


class Weak:
    """A channel whose run does what a test tells it to."""

    name, account = WEAK
    capabilities = Capabilities()

    def __init__(self, each: Callable[[], BaseException | None]) -> None:
        self._each = each
        self.runs = 0
        self.stubborn: asyncio.Event | None = None

    async def run(self, intake: Intake) -> None:
        self.runs += 1
        error = self._each()
        if error is not None:
            raise error
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if self.stubborn is not None:
                await self.stubborn.wait()
            raise

    async def send(self, message: Outbound) -> Receipt:
        return Receipt()

    async def close(self) -> None:
        pass


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    store = CuttableStore(await open_sqlite(None))
    yield Post(store)
    await store.close()


def hosting(post: Post, *channels: Weak | WebSocketChannel) -> ChannelHost:
    return ChannelHost(
        [post.channel, *channels],
        intake=RecordingIntake(),
        outbox=post.outbox,
        clock=post.clock,
        chance=Middle(),
    )


def told(host: ChannelHost, key: tuple[str, str] = WEAK) -> ChannelInfo:
    return next(each for each in host.seen() if (each.name, each.account) == key)


async def test_a_run_that_fails_at_once_rests_longer_each_time(post: Post) -> None:
    weak = Weak(lambda: OSError("no route"))
    host = hosting(post, weak)
    await host.start(*WEAK)
    await host.start(*MEMORY)
    await settle()
    assert weak.runs == 1
    assert told(host).state is ChannelState.RESTING
    assert told(host).error == "OSError: no route"

    await post.clock.advance(3600)

    # Half of 1, 2, 4, … 256 s, then of 300 s: an hour holds 9 doublings and 22 of the longest.
    assert 25 <= weak.runs <= 35
    assert told(host).restarts == weak.runs
    assert told(host, MEMORY).state is ChannelState.RUNNING, "its neighbour goes on"
    await host.close()


async def test_a_run_that_cancels_itself_has_failed(post: Post) -> None:
    weak = Weak(asyncio.CancelledError)
    host = hosting(post, weak)
    await host.start(*WEAK)
    await settle()
    assert told(host).state is ChannelState.RESTING
    await host.stop(*WEAK)
    assert told(host).state is ChannelState.STOPPED


async def test_after_a_steady_run_the_pause_is_a_first_one(post: Post) -> None:
    class Steady(Weak):
        async def run(self, intake: Intake) -> None:
            self.runs += 1
            await post.clock.sleep(STEADY_S)
            raise OSError("cut")

    steady = Steady(lambda: None)
    host = hosting(post, steady)
    await host.start(*WEAK)
    await post.clock.advance(10 * (STEADY_S + 0.5))
    assert steady.runs == 11
    await host.close()


async def test_a_pause_ends_at_once_when_it_is_stopped(post: Post) -> None:
    weak = Weak(lambda: OSError("no route"))
    host = hosting(post, weak)
    await host.start(*WEAK)
    await settle()
    await host.stop(*WEAK)  # the clock stands still
    await host.stop(*WEAK)
    await post.clock.advance(3600)
    assert weak.runs == 1
    assert told(host).state is ChannelState.STOPPED


async def test_the_end_of_a_source_is_no_failure(post: Post) -> None:
    host = hosting(post)
    await host.start(*MEMORY)
    await settle()
    post.channel.end()
    async with asyncio.timeout(PATIENCE_S):
        await host.ended(*MEMORY)
    assert told(host, MEMORY).state is ChannelState.ENDED
    await post.write("still sent")
    await post.done()
    assert post.texts() == ["still sent"]


async def test_a_channel_that_does_not_let_itself_be_cancelled_is_named(post: Post) -> None:
    weak = Weak(lambda: None)
    weak.stubborn = asyncio.Event()
    host = hosting(post, weak)
    await host.start(*WEAK)
    await settle()
    with pytest.raises(Conflict, match="did not end within"):
        await post.clock.drive(host.stop(*WEAK))
    assert told(host).state is ChannelState.STOPPING
    with pytest.raises(Conflict, match="has not ended yet"):
        await host.start(*WEAK)
    assert weak.runs == 1, "never two readers of one source"
    weak.stubborn.set()
    await settle()
    assert told(host).state is ChannelState.STOPPED
    await host.start(*WEAK)
    await settle()
    assert weak.runs == 2


async def test_starts_and_stops_that_race_end_as_the_last_one_says(post: Post) -> None:
    weak = Weak(lambda: None)
    host = hosting(post, weak)
    for last in (host.start, host.stop):
        calls = [host.stop, host.start] * 10
        async with asyncio.TaskGroup() as group:
            for call in (*calls, last):
                group.create_task(call(*WEAK))
        await settle()
        running = last == host.start
        assert told(host).state is (ChannelState.RUNNING if running else ChannelState.STOPPED)


async def test_what_is_given_to_a_stopped_channel_leaves_once_when_it_is_back(post: Post) -> None:
    host = hosting(post)
    await host.start(*MEMORY)
    await host.stop(*MEMORY)
    turns = [await post.write(f"answer {n}") for n in range(3)]
    await post.quiet()
    assert post.texts() == []
    assert {await post.state(turn) for turn in turns} == {"pending"}

    await host.start(*MEMORY)  # the clock stands still: nothing waits for a next look

    async with asyncio.timeout(PATIENCE_S):
        await post.outbox.drained()
    assert post.texts() == ["answer 0", "answer 1", "answer 2"]
    assert {await post.state(turn) for turn in turns} == {"sent"}


async def test_a_process_that_dies_with_a_stopped_channel_loses_nothing(post: Post) -> None:
    host = hosting(post)
    await host.stop(*MEMORY)
    turns = [await post.write(f"answer {n}") for n in range(3)]
    await post.quiet()
    await post.cut()

    await post.reopen(channels=[])
    again = hosting(post)
    await post.quiet()
    await again.start(*MEMORY)

    async with asyncio.timeout(PATIENCE_S):
        await post.outbox.drained()
    assert post.texts() == ["answer 0", "answer 1", "answer 2"]
    assert {await post.state(turn) for turn in turns} == {"sent"}


async def test_a_send_under_way_ends_although_its_channel_is_stopped(post: Post) -> None:
    host = hosting(post)
    await host.start(*MEMORY)
    gate = post.channel.block_next()
    first, second = await post.write("first"), await post.write("second")
    async with asyncio.timeout(PATIENCE_S):
        await gate.entered.wait()
    await host.stop(*MEMORY)
    gate.release()
    await post.quiet()
    assert (await post.state(first), await post.state(second)) == ("sent", "pending")
    await post.cut()


async def test_channels_whose_clients_fetch_stop_with_the_gateway(post: Post) -> None:
    host = hosting(post, clients := WebSocketChannel())
    await host.start(clients.name, clients.account)
    with pytest.raises(Conflict, match="stops with the gateway"):
        await host.stop(clients.name, clients.account)
    await host.close()
    assert {each.state for each in host.seen()} == {ChannelState.STOPPED}


async def test_a_silenced_host_starts_nothing_and_goes_on_sending(post: Post) -> None:
    host = hosting(post)
    await host.start(*MEMORY)
    await host.silence()
    with pytest.raises(Conflict, match="the gateway stops"):
        await host.start(*MEMORY)
    await post.write("goodbye")
    await post.done()
    assert post.texts() == ["goodbye"]
    await host.close()


async def test_an_unknown_channel_is_answered_with_those_there_are(post: Post) -> None:
    host = hosting(post)
    for call in (host.start, host.stop, host.ended):
        with pytest.raises(NotFound, match="there are: memory/default"):
            await call("telegraph", "me")


async def test_two_channels_cannot_have_one_name_and_account(post: Post) -> None:
    with pytest.raises(Conflict, match="another channel"):
        post.outbox.attach(MemoryChannel())
