"""The stdio channel: reads requests from stdin, does them, writes messages to stdout.

Messages are accepted one after the other, in the order of their lines; a wish to cancel a turn by
its id overtakes them. `run` ends with the input, with `/quit`, and when the reader of stdout has
gone; `send` works on until `close`, so answers to a piped question still come out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import TextIO, assert_never

from channels.base.channel import Capabilities, Intake
from channels.base.messages import Outbound, Receipt, TurnEnd
from channels.stdio.dialect import (
    ACCOUNT,
    CHANNEL,
    Cancel,
    Dialect,
    Malformed,
    Quit,
    Request,
    Say,
)
from channels.stdio.lines import MAX_LINE_BYTES, LineReader, TooLong
from channels.stdio.output import Output
from gateway.core.clock import Clock
from gateway.core.errors import DeliveryError, TurngateError
from gateway.core.ids import AgentId, TurnId
from gateway.core.tasks import OnFailure

STALL_S = 10.0
"""How long a delivery waits for a reader of stdout that takes nothing."""

WAITING_MESSAGES = 64
"""Messages read and not accepted. So many a cancel overtakes; then reading pauses."""

REMEMBERED_TURNS = 256
"""Unfinished turns whose agent is known, to be shown; the oldest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Streams:
    """The channel owns them: nobody else reads from or, until `close`, writes to them."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO


class StdioChannel:
    """One conversation partner, the one who started the process.

    `on_failure` hears of exceptions that are none of the intake's typed refusals; the sender is
    told of an internal error, and the next line is read.
    """

    name = CHANNEL
    account = ACCOUNT

    def __init__(
        self, streams: Streams, dialect: Dialect, *, clock: Clock, on_failure: OnFailure
    ) -> None:
        self.capabilities = Capabilities(dedupes=dialect.dedupes)
        self._dialect = dialect
        self._on_failure = on_failure
        self._lines = LineReader(streams.stdin, clock=clock)
        self._stdout = Output(
            streams.stdout, encoding=dialect.encoding, clock=clock, on_gone=self._lines.stop
        )
        self._stderr = Output(
            streams.stderr, encoding=dialect.encoding, clock=clock, on_gone=_nothing
        )
        self._notices = self._stdout if dialect.notices_to_stdout else self._stderr
        self._unfinished: OrderedDict[TurnId, AgentId] = OrderedDict()
        self._reading = False

    async def run(self, intake: Intake) -> None:
        """Read to the end of input.

        Cancelled: messages read and not accepted are forgotten, the one being accepted may or may
        not have been; none of them was acknowledged. Another `run` reads on from there.
        """
        self._lines.start()
        waiting: asyncio.Queue[Say | None] = asyncio.Queue(WAITING_MESSAGES)
        self._reading = True
        try:
            await self._tell(self._stdout, self._prompt())
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take_turns(intake, waiting), name="stdio.accept")
                await self._read(intake, waiting)
                await waiting.put(None)
        finally:
            self._reading = False

    async def send(self, message: Outbound) -> Receipt:
        """Write the message out; returns when it has left the process."""
        agent = self._unfinished.get(message.turn_id, "")
        text = self._dialect.message(message, agent=agent)
        await self._stdout.write(text + self._prompt(), stall_s=STALL_S)
        if message.part == message.parts:
            self._unfinished.pop(message.turn_id, None)
        return Receipt()

    async def ended(self, end: TurnEnd) -> None:
        """See `Terminal`."""
        await self._tell(self._notices, self._dialect.ended(end))

    async def close(self) -> None:
        """Stop reading and writing. The streams stay open: whoever opened them closes them."""
        await self._lines.close()
        await self._stdout.close()
        await self._stderr.close()

    # --- lines -----------------------------------------------------------------------------------

    async def _read(self, intake: Intake, waiting: asyncio.Queue[Say | None]) -> None:
        number = 0
        while (line := await self._lines.next()) is not None:
            number += 1
            request = _TOO_LONG if isinstance(line, TooLong) else self._dialect.read(line)
            match request:
                case Say():
                    await waiting.put(request)
                case Quit():
                    self._lines.stop()
                    self._reading = False
                case _:
                    await self._do_now(intake, request, number)
        if self._prompt():
            # The end of input is a key without an echo: what follows starts on its own line.
            self._reading = False
            await self._tell(self._stdout, "\n")

    async def _do_now(
        self, intake: Intake, request: Cancel | Malformed | None, number: int
    ) -> None:
        match request:
            case None:
                pass
            case Cancel(turn_id, id):
                error = await self._cancel(intake, turn_id)
                if error is None:
                    text = self._dialect.cancelled(id, turn_id)
                else:
                    text = self._dialect.refused(id, error, turn_id=turn_id)
                await self._tell(self._notices, text)
            case Malformed():
                await self._tell(self._notices, self._dialect.malformed(request, line=number))
            case _:
                assert_never(request)
        await self._tell(self._stdout, self._prompt())

    # --- turns, in the order of their lines -------------------------------------------------------

    async def _take_turns(self, intake: Intake, waiting: asyncio.Queue[Say | None]) -> None:
        while (request := await waiting.get()) is not None:
            await self._tell(self._notices, await self._accept(intake, request))
            await self._tell(self._stdout, self._prompt())

    async def _accept(self, intake: Intake, say: Say) -> str:
        try:
            accepted = await intake.accept(say.message)
        except TurngateError as error:
            return self._dialect.refused(say.id, error)
        except Exception as error:  # noqa: BLE001 - the boundary: one bad message ends no conversation
            self._on_failure("stdio.accept", error)
            return self._dialect.refused(say.id, error)
        if not accepted.duplicate:
            self._remember(accepted.turn_id, accepted.agent)
        return self._dialect.accepted(say, accepted)

    async def _cancel(self, intake: Intake, turn_id: TurnId) -> Exception | None:
        try:
            await intake.cancel(turn_id)
        except TurngateError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the boundary, as in `_accept`
            self._on_failure("stdio.cancel", error)
            return error
        return None

    def _remember(self, turn_id: TurnId, agent: AgentId) -> None:
        self._unfinished[turn_id] = agent
        if len(self._unfinished) > REMEMBERED_TURNS:
            self._unfinished.popitem(last=False)

    def _prompt(self) -> str:
        return self._dialect.prompt() if self._reading else ""

    async def _tell(self, output: Output, text: str) -> None:
        # Input waits as long as the answers to it cannot be written: that is the back-pressure.
        # When the reader has gone there is nobody to tell, and the output has stopped the reading;
        # when the disk behind it is full, a sender who asks with the same id learns it later.
        if text:
            with contextlib.suppress(DeliveryError):
                await output.write(text, stall_s=None)


_TOO_LONG: Request = Malformed(
    f"a line has at most {MAX_LINE_BYTES} bytes; this one was dropped to its end"
)


def _nothing() -> None:
    """Without stderr the channel goes on."""
