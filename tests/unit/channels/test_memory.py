"""What the memory channel adds to the contract: seeing into it, and making it fail."""

from __future__ import annotations

import asyncio

import pytest

from channels.base.channel import Capabilities, TextUnit
from channels.base.messages import Inbound
from channels.memory import MemoryChannel
from gateway.core.clock import settle
from gateway.core.errors import (
    Busy,
    DeliveryPermanent,
    DeliveryTransient,
    DeliveryUnknown,
)
from gateway.core.ids import AgentId, TurnId
from gateway.core.keys import RouteKey
from gateway.core.parts import Image, Text
from tests.unit.channels.recording import RecordingIntake, outbound


async def test_saying_returns_the_acknowledgement() -> None:
    channel, intake = MemoryChannel(), RecordingIntake()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(channel.run(intake))
        first = await channel.say("hello", external_id="m1")
        again = await channel.say("hello", external_id="m1")
        channel.end()
    assert first.turn_id == again.turn_id == "t_1"
    assert again.duplicate


async def test_saying_raises_the_refusal() -> None:
    channel, intake = MemoryChannel(), RecordingIntake()
    intake.refusals.append(Busy("20 messages wait"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(channel.run(intake))
        with pytest.raises(Busy, match="20 messages wait"):
            await channel.say("hello")
        channel.end()


async def test_a_message_says_all_it_is_told() -> None:
    channel = MemoryChannel(name="chat", account="bot", principal="ada")
    intake = RecordingIntake()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(channel.run(intake))
        parts = (Text("look"), Image("https://example.org/a.png"))
        await channel.say(
            parts, peer="p", group="g", thread="t", external_id="m1", agent=AgentId("ops")
        )
        channel.end()
    assert intake.messages == [
        Inbound(
            RouteKey("chat", "bot", group="g", thread="t", peer="p"),
            parts,
            "ada",
            external_id="m1",
            agent=AgentId("ops"),
        )
    ]


async def test_saying_waits_for_run_to_begin() -> None:
    channel, intake = MemoryChannel(), RecordingIntake()
    async with asyncio.TaskGroup() as tasks:
        saying = tasks.create_task(channel.say("early"))
        await settle()
        assert not saying.done()
        tasks.create_task(channel.run(intake))
        assert (await saying).turn_id == "t_1"
        channel.end()


async def test_run_ends_after_what_was_said_before_the_end() -> None:
    channel, intake = MemoryChannel(), RecordingIntake()
    intake.open.clear()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(channel.run(intake))
        said = [tasks.create_task(channel.say(f"m{n}")) for n in range(3)]
        await intake.heard(1)
        channel.end()
        await settle()
        assert not reading.done()
        intake.open.set()
    assert intake.texts == ["m0", "m1", "m2"]
    assert all(task.done() for task in said)


@pytest.mark.parametrize("how", ["ended", "closed", "cancelled"])
async def test_nobody_reads_what_is_said_when_run_is_over(how: str) -> None:
    channel = MemoryChannel()
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(channel.run(RecordingIntake()))
        await settle()
        if how == "ended":
            channel.end()
        elif how == "closed":
            await channel.close()
        else:
            reading.cancel()
        await asyncio.wait({reading})
        with pytest.raises(RuntimeError, match="'memory' is not running"):
            await channel.say("too late")
        with pytest.raises(RuntimeError, match="not running"):
            await channel.cancel(TurnId("t_1"))


async def test_a_cancelled_saying_leaves_the_channel_to_the_next() -> None:
    channel, intake = MemoryChannel(), RecordingIntake()
    intake.open.clear()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(channel.run(intake))
        saying = tasks.create_task(channel.say("first"))
        await intake.heard(1)
        saying.cancel()
        intake.open.set()
        assert (await channel.say("second")).turn_id == "t_2"
        channel.end()


# --- sending -------------------------------------------------------------------------------------


async def test_sent_messages_can_be_waited_for() -> None:
    channel = MemoryChannel()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(channel.next_sent())
        both = tasks.create_task(channel.wait_sent(2))
        await settle()
        assert not first.done()
        await channel.send(outbound("one", key="k_1"))
        assert (await first).text == "one"
        assert not both.done()
        await channel.send(outbound("two", key="k_2"))
        assert [message.text for message in await both] == ["one", "two"]
        assert (await channel.next_sent()).text == "two"


async def test_a_key_is_seen_once_when_the_channel_dedupes() -> None:
    channel = MemoryChannel(capabilities=Capabilities(dedupes=True))
    first = await channel.send(outbound("answer"))
    again = await channel.send(outbound("answer"))
    assert first == again
    assert len(channel.sent) == 1
    assert len(channel.attempts) == 2


async def test_a_message_past_the_declared_limit_is_refused_for_good() -> None:
    """A real destination refuses it, too; a piece this long is a mistake of the gateway."""
    channel = MemoryChannel(capabilities=Capabilities(unit=TextUnit.UTF16, limit=4))
    await channel.send(outbound("🐙🐙"))
    with pytest.raises(DeliveryPermanent, match="at most 4 utf16, got 5"):
        await channel.send(outbound("🐙🐙!"))
    assert len(channel.sent) == 1


@pytest.mark.parametrize("error", [DeliveryTransient, DeliveryPermanent, DeliveryUnknown])
@pytest.mark.parametrize("shown", [False, True])
async def test_an_ordered_failure_hits_one_send(error: type[Exception], shown: bool) -> None:
    channel = MemoryChannel(capabilities=Capabilities(dedupes=True))
    channel.fail_next(error("as ordered"), shown=shown)
    with pytest.raises(error, match="as ordered"):
        await channel.send(outbound("answer"))
    assert len(channel.sent) == shown
    await channel.send(outbound("answer"))
    assert len(channel.sent) == 1


async def test_failures_queue_up() -> None:
    channel = MemoryChannel()
    for text in ("first", "second"):
        channel.fail_next(DeliveryTransient(text))
    for text in ("first", "second"):
        with pytest.raises(DeliveryTransient, match=text):
            await channel.send(outbound("answer"))
    await channel.send(outbound("answer"))


@pytest.mark.parametrize("shown", [False, True])
async def test_a_blocked_send_stands_still_until_released(shown: bool) -> None:
    channel = MemoryChannel()
    gate = channel.block_next(shown=shown)
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(channel.send(outbound("slow", key="k_1")))
        await gate.entered.wait()
        await channel.send(outbound("quick", key="k_2"))
        assert not sending.done()
        assert [message.text for message in channel.sent] == (["slow"] * shown) + ["quick"]
        gate.release()
        receipt = await sending
    assert receipt.external_id == ("memory-1" if shown else "memory-2")
    assert len(channel.sent) == 2


async def test_a_send_cancelled_at_its_gate_shows_nothing() -> None:
    channel = MemoryChannel()
    gate = channel.block_next()
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(channel.send(outbound("slow")))
        await gate.entered.wait()
        sending.cancel()
    assert channel.sent == []


async def test_a_closed_channel_shows_nothing_more() -> None:
    channel = MemoryChannel()
    await channel.send(outbound("in time"))
    await channel.close()
    with pytest.raises(DeliveryTransient, match="nothing was shown"):
        await channel.send(outbound("too late"))
    assert [message.text for message in channel.sent] == ["in time"]
