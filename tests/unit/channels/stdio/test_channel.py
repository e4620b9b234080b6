"""What the stdio channel does beyond the contract: its commands, its answers, its endings."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from channels.stdio.channel import REMEMBERED_TURNS, WAITING_MESSAGES, StdioChannel, Streams
from channels.stdio.dialect import Dialect
from channels.stdio.lines import MAX_LINE_BYTES, WAITING_LINES
from channels.stdio.ndjson import NdjsonDialect
from channels.stdio.plain import PlainDialect
from gateway.core.clock import SystemClock
from gateway.core.errors import Busy, Conflict, DeliveryPermanent
from tests.support.patience import PATIENCE_S
from tests.unit.channels.recording import (
    Pipes,
    RecordingIntake,
    open_pipes,
    outbound,
)


class Terminal:
    """A running channel, its streams, and what it reported."""

    def __init__(self, pipes: Pipes, dialect: Dialect, tasks: asyncio.TaskGroup) -> None:
        self.pipes = pipes
        self.intake = RecordingIntake()
        self.failures: list[tuple[str, BaseException]] = []
        self.channel = StdioChannel(
            pipes.streams,
            dialect,
            clock=SystemClock(),
            on_failure=lambda name, error: self.failures.append((name, error)),
        )
        self.reading = tasks.create_task(self.channel.run(self.intake))

    def put(self, **members: Any) -> None:
        self.pipes.write(json.dumps(members) + "\n")

    async def got(self) -> dict[str, Any]:
        line: dict[str, Any] = json.loads(await self.pipes.stdout.line())
        return line

    async def ended(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.reading


@asynccontextmanager
async def running(dialect: Dialect) -> AsyncIterator[Terminal]:
    async with open_pipes() as pipes, asyncio.TaskGroup() as tasks:
        terminal = Terminal(pipes, dialect, tasks)
        try:
            yield terminal
        finally:
            await terminal.channel.close()


# --- programs ------------------------------------------------------------------------------------


async def test_acceptance_is_told_after_the_message_is_durable() -> None:
    async with running(NdjsonDialect()) as terminal:
        terminal.intake.open.clear()
        terminal.put(id="a1", text="hi")
        await terminal.intake.heard(1)
        await terminal.channel.send(outbound("of an earlier turn", turn="t_0"))
        assert (await terminal.got())["type"] == "message"
        terminal.intake.open.set()
        answer = await terminal.got()
        assert (answer["type"], answer["id"], answer["turn_id"]) == ("accepted", "a1", "t_1")


async def test_a_line_sent_again_gets_its_first_turn() -> None:
    """What a sender does who does not know whether the gateway had it before it died."""
    async with running(NdjsonDialect()) as terminal:
        for duplicate in (False, True):
            terminal.put(id="a1", text="hi")
            answer = await terminal.got()
            assert (answer["turn_id"], answer["duplicate"]) == ("t_1", duplicate)
        assert terminal.intake.texts == ["hi"]


async def test_lines_that_are_not_understood_are_told_by_number() -> None:
    async with running(NdjsonDialect()) as terminal:
        terminal.pipes.write('nonsense\n\n{"id": "a1"}\n')
        first, second = await terminal.got(), await terminal.got()
        assert (first["type"], first["line"], first["id"]) == ("error", 1, None)
        assert (second["type"], second["line"], second["id"]) == ("error", 3, "a1")
        terminal.put(text="hi")
        assert (await terminal.got())["type"] == "accepted"


async def test_a_line_past_the_bound_is_told_and_the_next_is_read() -> None:
    async with running(NdjsonDialect()) as terminal:
        await terminal.pipes.pour(b'{"text": "' + b"x" * MAX_LINE_BYTES + b'"}\n')
        terminal.put(text="hi")
        answer = await terminal.got()
        assert answer["type"] == "error"
        assert f"at most {MAX_LINE_BYTES} bytes" in answer["error"]["message"]
        assert (await terminal.got())["type"] == "accepted"


async def test_a_cancel_overtakes_messages_that_wait() -> None:
    async with running(NdjsonDialect()) as terminal:
        terminal.intake.open.clear()
        for number in range(WAITING_MESSAGES):
            terminal.put(text=f"message {number}")
        terminal.put(cancel="t_0", id="c1")
        assert await terminal.got() == {"type": "cancelled", "id": "c1", "turn_id": "t_0"}
        assert len(terminal.intake.messages) == 1
        terminal.intake.open.set()
        await terminal.intake.heard(WAITING_MESSAGES)


async def test_more_messages_than_may_wait_hold_up_their_sender_and_nothing_is_lost() -> None:
    count = (WAITING_MESSAGES + WAITING_LINES) * 2
    async with running(PlainDialect()) as terminal:
        terminal.intake.open.clear()
        terminal.pipes.write("".join(f"{number}\n" for number in range(count)))
        terminal.pipes.hang_up()
        await terminal.intake.heard(1)
        terminal.intake.open.set()
        await terminal.ended()
        assert terminal.intake.texts == [str(number) for number in range(count)]


async def test_a_refused_cancel_is_told() -> None:
    async with running(NdjsonDialect()) as terminal:
        terminal.intake.cancel_refusals.append(Conflict("turn t_1 has ended"))
        terminal.put(cancel="t_1")
        answer = await terminal.got()
        assert (answer["type"], answer["turn_id"]) == ("refused", "t_1")
        assert answer["error"]["kind"] == "conflict"


async def test_an_unforeseen_error_is_reported_inside_and_named_outside() -> None:
    async with running(NdjsonDialect()) as terminal:
        broken, stuck = ValueError("hunter2"), ValueError("hunter3")
        terminal.intake.refusals.append(broken)
        terminal.intake.cancel_refusals.append(stuck)
        terminal.put(id="a1", text="hi")
        assert (await terminal.got())["error"]["message"] == "internal error"
        terminal.put(cancel="t_1")
        assert (await terminal.got())["error"]["message"] == "internal error"
        assert terminal.failures == [("stdio.accept", broken), ("stdio.cancel", stuck)]
        terminal.put(id="a2", text="hi")
        assert (await terminal.got())["type"] == "accepted"


async def test_run_ends_when_the_reader_of_its_output_has_gone() -> None:
    async with running(NdjsonDialect()) as terminal:
        await terminal.pipes.stdout.leave()
        terminal.put(text="hi")
        await terminal.ended()
        with pytest.raises(DeliveryPermanent):
            await terminal.channel.send(outbound("too late"))


async def test_run_again_after_a_cancel_reads_on() -> None:
    async with open_pipes() as pipes, asyncio.TaskGroup() as tasks:
        terminal = Terminal(pipes, PlainDialect(), tasks)
        pipes.write("first\n")
        await terminal.intake.heard(1)
        terminal.reading.cancel()
        await asyncio.wait({terminal.reading})
        pipes.write("second\n")
        pipes.hang_up()
        await terminal.channel.run(terminal.intake)
        assert terminal.intake.texts == ["first", "second"]
        await terminal.channel.close()


# --- people --------------------------------------------------------------------------------------


async def test_refusals_go_to_stderr() -> None:
    async with running(PlainDialect()) as terminal:
        terminal.intake.refusals.append(Busy("20 messages wait", retry_after_ms=2000))
        terminal.pipes.write("refused\n")
        notice = "turngate: 20 messages wait (try again in 2 s)\n"
        assert await terminal.pipes.stderr.line() == notice
        await terminal.channel.send(outbound("an answer"))
        assert await terminal.pipes.stdout.line() == "an answer\n"


async def test_commands_are_for_the_gateway() -> None:
    """With their slashes, and with everything that whoever holds the streams may do."""
    async with running(PlainDialect()) as terminal:
        terminal.pipes.write("/help\n//text\n/stop\n")
        assert await terminal.intake.heard(3) == ["/help", "//text", "/stop"]
        assert all("operator" in said.scopes for said in terminal.intake.messages)


async def test_of_turns_never_answered_the_agents_of_the_newest_are_remembered() -> None:
    async with running(PlainDialect(prompting=True)) as terminal:
        terminal.pipes.write("x\n" * (REMEMBERED_TURNS + 1))
        await terminal.intake.heard(REMEMBERED_TURNS + 1)
        out = terminal.pipes.stdout
        for turn in ("t_1", "t_2"):
            await terminal.channel.send(outbound("hi", turn=turn, key=turn))
        shown = b""
        while b"main: hi" not in shown:
            shown += await out.bytes(1)
        assert b"agent: hi" in shown


@pytest.mark.parametrize("command", ["/quit", "/exit"])
async def test_quit_ends_the_reading_and_nothing_else(command: str) -> None:
    async with running(PlainDialect()) as terminal:
        terminal.pipes.write(f"one\n{command}\ntwo\n")
        await terminal.ended()
        assert terminal.intake.texts == ["one"]
        await terminal.channel.send(outbound("answer"))
        assert await terminal.pipes.stdout.line() == "answer\n"


async def test_a_line_without_an_end_is_a_message() -> None:
    async with running(PlainDialect()) as terminal:
        terminal.pipes.write("unfinished")
        terminal.pipes.hang_up()
        await terminal.ended()
        assert terminal.intake.texts == ["unfinished"]


async def test_nobody_at_stderr_is_no_reason_to_end() -> None:
    async with running(PlainDialect()) as terminal:
        await terminal.pipes.stderr.leave()
        terminal.intake.refusals.append(Busy("20 messages wait"))
        terminal.pipes.write("refused\none\n")
        assert await terminal.intake.heard(1) == ["one"]


# --- terminals -----------------------------------------------------------------------------------


async def test_a_person_is_prompted_and_answers_take_the_place_of_the_prompt() -> None:
    async with running(PlainDialect(prompting=True, escapes=True)) as terminal:
        out = terminal.pipes.stdout
        assert await out.bytes(2) == b"> "
        terminal.pipes.write("one\n")
        await terminal.intake.heard(1)
        assert await out.bytes(2) == b"> "
        await terminal.channel.send(outbound("hi"))
        assert await out.line() == "\r\x1b[Kmain: hi\n"
        assert await out.bytes(2) == b"> "
        terminal.pipes.write("\n")
        assert await out.bytes(2) == b"> "
        terminal.pipes.hang_up()
        assert await out.line() == "\n"
        await terminal.ended()
        await terminal.channel.send(outbound("late", turn="t_0", key="k_2"))
        assert await out.line() == "\r\x1b[Kagent: late\n"


async def test_nobody_is_prompted_after_quit() -> None:
    async with running(PlainDialect(prompting=True)) as terminal:
        assert await terminal.pipes.stdout.bytes(2) == b"> "
        terminal.pipes.write("/quit\n")
        await terminal.ended()
        await terminal.channel.send(outbound("late"))
        assert await terminal.pipes.stdout.bytes(13) == b"\nagent: late\n"


async def test_it_works_on_a_real_terminal() -> None:
    ours, theirs = os.openpty()
    async with asyncio.TaskGroup() as tasks, open_pipes() as pipes:
        with (
            os.fdopen(theirs, "r+b", buffering=0) as device,
            os.fdopen(os.dup(theirs)) as stdin,
            os.fdopen(os.dup(theirs), "w") as stdout,
        ):
            assert device.isatty()
            intake = RecordingIntake()
            channel = StdioChannel(
                Streams(stdin, stdout, pipes.streams.stderr),
                PlainDialect(prompting=True),
                clock=SystemClock(),
                on_failure=lambda name, error: None,
            )
            reading = tasks.create_task(channel.run(intake))
            os.write(ours, b"hello\n\x04")  # Ctrl-D ends the input
            assert await intake.heard(1) == ["hello"]
            await reading
            await channel.close()
    os.close(ours)


# --- the process ---------------------------------------------------------------------------------

ABANDONED = """
import asyncio, os, sys
from channels.stdio.channel import StdioChannel, Streams
from channels.stdio.plain import PlainDialect
from gateway.core.clock import SystemClock
from tests.support.patience import PATIENCE_S

async def main():
    streams = Streams(sys.stdin, sys.stdout, sys.stderr)
    channel = StdioChannel(streams, PlainDialect(), clock=SystemClock(), on_failure=print)
    accepted = asyncio.Event()
    class Intake:
        async def accept(self, message):
            accepted.set()
            await asyncio.Event().wait()
    reading = asyncio.get_running_loop().create_task(channel.run(Intake()))
    await accepted.wait()

asyncio.run(main())
"""


async def test_a_process_ends_although_its_threads_still_wait() -> None:
    """A thread inside a buffered stream would end the interpreter with a fatal error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ABANDONED,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"hello\n")
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 0
    finally:
        process.stdin.close()
    assert process.stdout is not None
    assert process.stderr is not None
    assert await process.stdout.read() == b""
    assert await process.stderr.read() == b""
