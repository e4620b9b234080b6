"""What every channel does, whatever its wire: one body a behaviour, one parameter a channel.

A `Rig` is a channel together with the people at its other end.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from channels.base.channel import Capabilities, Channel
from channels.base.messages import Receipt
from channels.memory import MemoryChannel
from channels.stdio.channel import StdioChannel
from channels.stdio.dialect import Dialect
from channels.stdio.ndjson import NdjsonDialect
from channels.stdio.plain import PlainDialect
from gateway.core.clock import SystemClock
from gateway.core.errors import Busy, DeliveryError, InvalidInput, StoreUnavailable, TurngateError
from gateway.core.ids import TurnId
from tests.support.patience import PATIENCE_S
from tests.unit.channels.recording import (
    Pipes,
    RecordingIntake,
    open_pipes,
    outbound,
)

# Hard cases of Unicode: a family joined by ZWJ, a flag, a combining mark, right to left, astral.
UNICODE = "日本語 👨\u200d👩\u200d👧 🇩🇪 e\u0301 שלום 🐙"


class Rig(ABC):
    """A channel and whoever is at its other end."""

    channel: Channel
    multiline = True
    """Whether a message may hold a line break."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.tasks = tasks

    @abstractmethod
    def say(self, text: str) -> None:
        """Somebody writes; does not wait for what becomes of it."""

    @abstractmethod
    async def told(self) -> str:
        """What the next refused sender reads."""

    @abstractmethod
    def stop(self, turn_id: TurnId) -> None:
        """Somebody wants the turn, the newest one, to end."""

    @abstractmethod
    def end(self) -> None:
        """The source has nothing more."""

    @abstractmethod
    async def shown(self, length: int) -> str:
        """The next text the receiver sees; `length` of it, in UTF-8 bytes."""

    def run(self, intake: RecordingIntake) -> asyncio.Task[None]:
        return self.tasks.create_task(self.channel.run(intake))


class MemoryRig(Rig):
    def __init__(self, tasks: asyncio.TaskGroup, *, dedupes: bool) -> None:
        super().__init__(tasks)
        self.channel: MemoryChannel = MemoryChannel(capabilities=Capabilities(dedupes=dedupes))
        self._told: asyncio.Queue[str] = asyncio.Queue(100)

    def say(self, text: str) -> None:
        self.tasks.create_task(self._say(text))

    async def _say(self, text: str) -> None:
        try:
            await self.channel.say(text)
        except TurngateError as error:
            self._told.put_nowait(str(error))

    async def told(self) -> str:
        return await self._told.get()

    def stop(self, turn_id: TurnId) -> None:
        self.tasks.create_task(self.channel.cancel(turn_id))

    def end(self) -> None:
        self.channel.end()

    async def shown(self, length: int) -> str:
        return (await self.channel.next_sent()).text


class StdioRig(Rig):
    dialect: Dialect

    def __init__(self, tasks: asyncio.TaskGroup, pipes: Pipes) -> None:
        super().__init__(tasks)
        self.pipes = pipes
        self.failures: list[tuple[str, BaseException]] = []
        self.channel = StdioChannel(
            pipes.streams,
            self.dialect,
            clock=SystemClock(),
            on_failure=lambda name, error: self.failures.append((name, error)),
        )

    def end(self) -> None:
        self.pipes.hang_up()


class PlainRig(StdioRig):
    dialect = PlainDialect()
    multiline = False

    def say(self, text: str) -> None:
        self.pipes.write(f"{text}\n")

    async def told(self) -> str:
        return await self.pipes.stderr.line()

    def stop(self, turn_id: TurnId) -> None:
        self.say("/stop")  # a command like any other, which finds the turn by itself

    async def shown(self, length: int) -> str:
        text = (await self.pipes.stdout.bytes(length + 1)).decode()
        assert text.endswith("\n")
        return text[:-1]


class NdjsonRig(StdioRig):
    dialect = NdjsonDialect()

    def say(self, text: str) -> None:
        self.pipes.write(json.dumps({"text": text}) + "\n")

    async def told(self) -> str:
        return str((await self._next("refused"))["error"]["message"])

    def stop(self, turn_id: TurnId) -> None:
        self.pipes.write(json.dumps({"cancel": turn_id}) + "\n")

    async def shown(self, length: int) -> str:
        return str((await self._next("message"))["text"])

    async def _next(self, kind: str) -> dict[str, Any]:
        while True:
            line: dict[str, Any] = json.loads(await self.pipes.stdout.line())
            if line["type"] == kind:
                return line


def memory(*, dedupes: bool) -> Callable[[], AbstractAsyncContextManager[Rig]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Rig]:
        async with asyncio.TaskGroup() as tasks:
            rig = MemoryRig(tasks, dedupes=dedupes)
            try:
                yield rig
            finally:
                await rig.channel.close()

    return opened


def stdio(rig_type: type[StdioRig]) -> Callable[[], AbstractAsyncContextManager[Rig]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Rig]:
        async with open_pipes() as pipes, asyncio.TaskGroup() as tasks:
            rig = rig_type(tasks, pipes)
            try:
                yield rig
            finally:
                await rig.channel.close()
            assert not rig.failures

    return opened


RIGS: dict[str, Callable[[], AbstractAsyncContextManager[Rig]]] = {
    "memory": memory(dedupes=False),
    "memory-dedupes": memory(dedupes=True),
    "stdio-plain": stdio(PlainRig),
    "stdio-json": stdio(NdjsonRig),
}


@pytest.fixture(params=list(RIGS))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with asyncio.timeout(PATIENCE_S), RIGS[request.param]() as opened:
        yield opened


@pytest.fixture
def intake() -> RecordingIntake:
    return RecordingIntake()


# --- in ------------------------------------------------------------------------------------------


async def test_messages_arrive_once_and_in_order(rig: Rig, intake: RecordingIntake) -> None:
    reading = rig.run(intake)
    texts = [f"message {number}" for number in range(50)]
    for text in texts:
        rig.say(text)
    assert await intake.heard(50) == texts
    rig.end()
    await reading
    assert intake.texts == texts


async def test_a_text_said_arrives_unchanged(rig: Rig, intake: RecordingIntake) -> None:
    rig.run(intake)
    text = f"  {UNICODE}\ttab" + ("\n\nsecond paragraph" if rig.multiline else "")
    rig.say(text)
    assert await intake.heard(1) == [text]


async def test_a_message_says_where_it_comes_from(rig: Rig, intake: RecordingIntake) -> None:
    rig.run(intake)
    rig.say("hello")
    await intake.heard(1)
    message = intake.messages[0]
    assert message.route.channel == rig.channel.name
    assert message.route.account == rig.channel.account
    assert message.route.peer == "local"
    assert message.principal == "local"


async def test_one_message_is_accepted_before_the_next_is_tried(
    rig: Rig, intake: RecordingIntake
) -> None:
    intake.open.clear()
    rig.run(intake)
    rig.say("first")
    rig.say("second")
    assert await intake.heard(1) == ["first"]
    intake.open.set()
    assert await intake.heard(2) == ["first", "second"]


@pytest.mark.parametrize(
    "error",
    [
        InvalidInput("a text has at most 10 characters, got 11"),
        Busy("20 messages wait in this session", retry_after_ms=1500),
        StoreUnavailable("the disk is full"),
    ],
    ids=["caller", "busy", "operator"],
)
async def test_a_refused_sender_is_told_and_the_next_message_arrives(
    rig: Rig, intake: RecordingIntake, error: TurngateError
) -> None:
    intake.refusals.append(error)
    rig.run(intake)
    rig.say("refused")
    assert str(error) in await rig.told()
    rig.say("welcome")
    assert await intake.heard(1) == ["welcome"]


async def test_a_wish_to_stop_reaches_the_intake(rig: Rig, intake: RecordingIntake) -> None:
    rig.run(intake)
    rig.say("long work")
    await intake.heard(1)
    rig.stop(TurnId("t_1"))
    if isinstance(rig, PlainRig):
        assert await intake.heard(2) == ["long work", "/stop"]
    else:
        assert await intake.stopped(1) == ["t_1"]


async def test_the_end_of_the_source_ends_run_after_the_last_message(
    rig: Rig, intake: RecordingIntake
) -> None:
    reading = rig.run(intake)
    rig.say("first")
    rig.say("last")
    await intake.heard(1)
    rig.end()
    await reading
    assert intake.texts == ["first", "last"]


async def test_run_can_be_cancelled_while_it_waits(rig: Rig, intake: RecordingIntake) -> None:
    reading = rig.run(intake)
    rig.say("hello")
    await intake.heard(1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


# --- out -----------------------------------------------------------------------------------------


async def test_a_text_sent_is_shown_unchanged_and_has_a_receipt(
    rig: Rig, intake: RecordingIntake
) -> None:
    rig.run(intake)
    text = f"{UNICODE}\n\n  indented\n"
    receipt = await rig.channel.send(outbound(text))
    assert isinstance(receipt, Receipt)
    assert await rig.shown(len(text.encode())) == text


async def test_messages_are_shown_in_the_order_they_were_sent(rig: Rig) -> None:
    for number in range(20):
        await rig.channel.send(outbound(f"answer {number:02}", key=f"k_{number}"))
    assert [await rig.shown(9) for _ in range(20)] == [f"answer {n:02}" for n in range(20)]


async def test_sending_works_after_the_source_has_ended(rig: Rig, intake: RecordingIntake) -> None:
    """Whoever pipes a question in wants the answer, which comes later than the end of input."""
    reading = rig.run(intake)
    rig.say("question")
    await intake.heard(1)
    rig.end()
    await reading
    await rig.channel.send(outbound("answer"))
    assert await rig.shown(6) == "answer"


async def test_sending_works_after_run_was_cancelled(rig: Rig, intake: RecordingIntake) -> None:
    reading = rig.run(intake)
    rig.say("question")
    await intake.heard(1)
    reading.cancel()
    await asyncio.wait({reading})
    await rig.channel.send(outbound("answer"))
    assert await rig.shown(6) == "answer"


async def test_a_declared_dedupe_can_be_relied_on(rig: Rig) -> None:
    """Without the declaration the same key is shown each time; that is why it is never resent."""
    for _ in range(2):
        await rig.channel.send(outbound("answer", key="same"))
    await rig.channel.send(outbound("other!", key="other"))
    if isinstance(rig, NdjsonRig):
        # Its reader dedupes, so every showing must carry the key.
        lines = [json.loads(await rig.pipes.stdout.line()) for _ in range(3)]
        assert rig.channel.capabilities.dedupes
        assert [line["delivery_key"] for line in lines] == ["same", "same", "other"]
        return
    times = 1 if rig.channel.capabilities.dedupes else 2
    assert [await rig.shown(6) for _ in range(times + 1)] == ["answer"] * times + ["other!"]


# --- the end -------------------------------------------------------------------------------------


async def test_closing_twice_is_closing_once(rig: Rig, intake: RecordingIntake) -> None:
    reading = rig.run(intake)
    await rig.channel.send(outbound("answer"))
    await rig.channel.close()
    await rig.channel.close()
    await reading


async def test_closing_without_ever_running_is_fine(rig: Rig) -> None:
    await rig.channel.close()
    await rig.channel.close()


async def test_a_closed_channel_refuses_to_send_with_a_delivery_error(rig: Rig) -> None:
    await rig.channel.close()
    with pytest.raises(DeliveryError):
        await rig.channel.send(outbound("too late"))
