"""What tests of channels share: an intake that writes down, and real pipes around stdio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.base.messages import Accepted, Inbound, Outbound
from channels.stdio.channel import Streams
from gateway.core.clock import settle
from gateway.core.ids import AgentId, DeliveryId, TurnId
from gateway.core.keys import Destination, SessionKey, SessionScope
from gateway.core.parts import text_of
from tests.support.patience import PATIENCE_S

AGENT = AgentId("main")
SESSION = SessionKey(SessionScope.MAIN, AGENT)
BUFFER_BYTES = 4 * 1024 * 1024
"""What a test's reading end takes in by itself: more than the longest line of any test."""


class RecordingIntake:
    """Accepts everything as turns `t_1`, `t_2`, … unless told otherwise; dedupes external ids."""

    def __init__(self) -> None:
        self.messages: list[Inbound] = []
        self.cancelled: list[TurnId] = []
        self.refusals: list[Exception] = []
        """Raised by the next calls of `accept`, one each."""
        self.cancel_refusals: list[Exception] = []
        self.open = asyncio.Event()
        """Cleared, an accept stands still after it was written down."""
        self.open.set()
        self._turns: dict[str, TurnId] = {}
        self._changed = asyncio.Condition()

    async def accept(self, message: Inbound) -> Accepted:
        if self.refusals:
            raise self.refusals.pop(0)
        known = self._turns.get(message.external_id)
        if known is not None:
            return Accepted(known, SESSION, AGENT, position=0, duplicate=True)
        self.messages.append(message)
        turn_id = TurnId(f"t_{len(self.messages)}")
        if message.external_id:
            self._turns[message.external_id] = turn_id
        await self._notify()
        await self.open.wait()
        return Accepted(turn_id, SESSION, AGENT, position=0)

    async def cancel(self, turn_id: TurnId) -> None:
        if self.cancel_refusals:
            raise self.cancel_refusals.pop(0)
        self.cancelled.append(turn_id)
        await self._notify()

    @property
    def texts(self) -> list[str]:
        return [text_of(message.parts) for message in self.messages]

    async def heard(self, count: int) -> list[str]:
        """The texts so far, once `count` messages have reached `accept`."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.messages) >= count)
        return self.texts

    async def stopped(self, count: int) -> list[TurnId]:
        """The cancelled turns, once there are `count`."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.cancelled) >= count)
        return self.cancelled

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def outbound(text: str, *, key: str = "k_1", turn: str = "t_1", part: int = 1) -> Outbound:
    """The only part of an answer, or with `part` one of two."""
    return Outbound(
        delivery_id=DeliveryId(f"d_{key}"),
        key=key,
        destination=Destination("stdio", "local", "local"),
        text=text,
        turn_id=TurnId(turn),
        attempt=1,
        part=part,
        parts=max(1, part),
    )


class Pipes:
    """Three real pipes: `streams` for the channel, the other ends for the test."""

    def __init__(self, streams: Streams, stdin: int, stdout: Reading, stderr: Reading) -> None:
        self.streams = streams
        self.stdout = stdout
        self.stderr = stderr
        self._stdin: int | None = stdin

    def write(self, data: str | bytes) -> None:
        """Write what a pipe holds at once; more would block the loop."""
        raw = data.encode() if isinstance(data, str) else data
        assert self._stdin is not None
        assert os.write(self._stdin, raw) == len(raw)

    async def pour(self, data: bytes) -> None:
        """Write more than a pipe holds, in a thread."""
        while data:
            assert self._stdin is not None
            data = data[await asyncio.to_thread(os.write, self._stdin, data) :]

    def hang_up(self) -> None:
        """End of input; again is nothing."""
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


class Reading:
    """The test's end of an output."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self._reader = reader
        self._transport = transport

    async def line(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            return (await self._reader.readline()).decode()

    async def bytes(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readexactly(count)

    async def rest(self) -> str:
        """Everything up to the end of the output."""
        async with asyncio.timeout(PATIENCE_S):
            return (await self._reader.read()).decode()

    def stall(self) -> None:
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()

    async def leave(self) -> None:
        """Close the reading end, as a program that has seen enough does."""
        self._transport.close()
        await settle()


async def _reading(fd: int, buffer: int) -> Reading:
    reader = asyncio.StreamReader(limit=buffer)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb")
    )
    return Reading(reader, transport)


@asynccontextmanager
async def open_pipes(*, buffer: int = BUFFER_BYTES) -> AsyncIterator[Pipes]:
    """Everything is closed at the end, whatever the test closed before; close the channel first."""
    (in_r, in_w), (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe(), os.pipe()
    with (
        os.fdopen(in_r, encoding="utf-8") as stdin,
        os.fdopen(out_w, "w", encoding="utf-8") as stdout,
        os.fdopen(err_w, "w", encoding="utf-8") as stderr,
    ):
        streams = Streams(stdin, stdout, stderr)
        pipes = Pipes(streams, in_w, await _reading(out_r, buffer), await _reading(err_r, buffer))
        try:
            yield pipes
        finally:
            pipes.hang_up()
            await pipes.stdout.leave()
            await pipes.stderr.leave()
