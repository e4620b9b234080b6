"""Who runs the channels: each has a task of its own, and its failures are its own.

A channel that reads is attached to the outbox; so is one whose source has ended or that rests after
a failure, because it may still send. Stopped, it is detached and its deliveries wait. It is closed
with the gateway alone, so a stopped channel can be started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from channels.base.channel import Channel, Intake
from gateway.core.clock import Clock
from gateway.core.errors import Conflict, NotFound
from gateway.core.ids import Chance
from gateway.core.tasks import Ending, TaskOwner
from gateway.delivery.outbox import Outbox
from gateway.hosting.restarts import STEADY_S, pause_s
from gateway.telemetry.tasks import task_failed

STOP_S = 5.0
"""How long a stop waits for a channel that does not let itself be cancelled."""
MAX_SAID_CHARS = 500
"""Kept of an error, as the outbox keeps of what a destination said."""

log = structlog.get_logger(__name__)


class ChannelState(StrEnum):
    """What a channel is doing."""

    STOPPED = "stopped"
    RUNNING = "running"
    RESTING = "resting"
    """Its run failed; it is started again after a pause."""
    ENDED = "ended"
    """Its source has nothing more; it still sends."""
    STOPPING = "stopping"
    """Told to stop, and not yet ended."""


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """How one channel does. `since` is wall time in milliseconds; `error` is the last one's text.

    `restarts` counts failures since it was last started by hand.
    """

    name: str
    account: str
    state: ChannelState
    since: int
    error: str
    restarts: int


@dataclass(slots=True, eq=False)
class _Seat:
    channel: Channel
    since: int
    state: ChannelState = ChannelState.STOPPED
    error: str = ""
    restarts: int = 0
    task: asyncio.Task[None] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # Starts and stops take effect in the order in which they were asked for.
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class ChannelHost:
    """Starts and stops the channels it is given. None runs until it is told to."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        intake: Intake,
        outbox: Outbox,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._intake = intake
        self._outbox = outbox
        self._clock = clock
        self._chance = chance
        self._owner = TaskOwner("channels", task_failed)
        self._silenced = False
        now = clock.now_ms()
        self._seats = {(each.name, each.account): _Seat(each, now) for each in channels}

    def seen(self) -> tuple[ChannelInfo, ...]:
        """How every channel does, in the order they were given."""
        return tuple(self.one(*key) for key in self._seats)

    def one(self, name: str, account: str) -> ChannelInfo:
        """How this channel does; raises `NotFound`."""
        seat = self._seat(name, account)
        return ChannelInfo(name, account, seat.state, seat.since, seat.error, seat.restarts)

    async def start(self, name: str, account: str, intake: Intake | None = None) -> None:
        """Let a channel read, and send; one that does already goes on.

        `intake` stands in for the gateway's own. Raises `NotFound`, or `Conflict` while an earlier
        run does not end or the gateway does.
        """
        seat = self._seat(name, account)
        async with seat.turn:
            if self._silenced:
                raise Conflict("the gateway stops; no channel is started any more")
            if seat.task is not None and not seat.task.done():
                if seat.state is ChannelState.STOPPING:
                    raise Conflict(f"channel {name!r} was told to stop and has not ended yet")
                return
            seat.error, seat.restarts = "", 0
            seat.ended.clear()
            self._move(seat, ChannelState.RUNNING)
            self._outbox.attach(seat.channel)
            work = self._keep(seat, intake or self._intake)
            seat.task = self._owner.start(f"{name}.{account}", work, ending=Ending.CANCELLABLE)

    async def stop(self, name: str, account: str) -> None:
        """Let a channel read and send no more; what it should send waits, a send under way ends.

        Raises `NotFound`, or `Conflict`: for a channel whose clients fetch, and when its run has
        not ended after `STOP_S`. Cancelling it takes nothing back.
        """
        seat = self._seat(name, account)
        if seat.channel.capabilities.pulled:
            raise Conflict(f"clients of {name!r} fetch their answers; it stops with the gateway")
        async with seat.turn:
            self._outbox.detach(seat.channel)  # first: nothing new may leave while the run ends
            if not await self._halt(seat):
                raise Conflict(f"channel {name!r} did not end within {STOP_S:g} s of its stop")

    async def ended(self, name: str, account: str) -> None:
        """Wait until the channel's source has nothing more, or the channel is stopped."""
        await self._seat(name, account).ended.wait()

    async def silence(self) -> None:
        """Let no channel read from now on; they go on to send. The first step of a stop."""
        self._silenced = True
        async with asyncio.TaskGroup() as group:
            for seat in self._seats.values():
                group.create_task(self._halt(seat))

    async def close(self) -> None:
        """Close every channel, once nothing is sent any more."""
        await self.silence()
        for seat in reversed(self._seats.values()):
            await seat.channel.close()

    async def _halt(self, seat: _Seat) -> bool:
        """Cancel the run; whether it has ended within its time."""
        if seat.task is not None and not seat.task.done():
            self._move(seat, ChannelState.STOPPING)
            seat.task.cancel()
            try:
                async with self._clock.timeout(STOP_S):
                    await asyncio.wait({seat.task})
            except TimeoutError:
                log.warning("channel.does_not_end", channel=seat.channel.name, after_s=STOP_S)
                return False
        self._move(seat, ChannelState.STOPPED)
        seat.ended.set()
        return True

    async def _keep(self, seat: _Seat, intake: Intake) -> None:
        """Run the channel to the end of its source, again after each failure."""
        failures = 0
        try:
            while True:
                began = self._clock.monotonic()
                error = await self._run(seat.channel, intake)
                if error is None:
                    self._move(seat, ChannelState.ENDED)
                    return
                steady = self._clock.monotonic() - began >= STEADY_S
                failures = 1 if steady else failures + 1
                seat.error, seat.restarts = _said(error), seat.restarts + 1
                self._move(seat, ChannelState.RESTING)
                pause = pause_s(failures, self._chance)
                log.warning(
                    "channel.failed",
                    channel=seat.channel.name,
                    account=seat.channel.account,
                    again_in_s=round(pause, 1),
                    reason=seat.error,
                    exc_info=error if failures == 1 else None,
                )
                await self._clock.sleep(pause)
                self._move(seat, ChannelState.RUNNING)
        finally:
            if seat.state is ChannelState.STOPPING:  # a stop that had given up waiting
                self._move(seat, ChannelState.STOPPED)
            seat.ended.set()

    async def _run(self, channel: Channel, intake: Intake) -> BaseException | None:
        """What the run failed with, None when its source has ended."""
        task = asyncio.current_task()
        assert task is not None
        try:
            await channel.run(intake)
        except asyncio.CancelledError as error:
            # A channel may cancel itself by mistake; only a stop cancels this task.
            if task.cancelling():
                raise
            return error
        except Exception as error:  # noqa: BLE001  # the boundary of a channel
            return error
        if task.cancelling():  # it took its cancellation for the end of its source
            raise asyncio.CancelledError
        return None

    def _seat(self, name: str, account: str) -> _Seat:
        seat = self._seats.get((name, account))
        if seat is None:
            have = ", ".join(f"{name}/{account}" for name, account in self._seats) or "none"
            raise NotFound(f"there is no channel {name}/{account}; there are: {have}")
        return seat

    def _move(self, seat: _Seat, state: ChannelState) -> None:
        if seat.state is not state:
            seat.state, seat.since = state, self._clock.now_ms()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:MAX_SAID_CHARS]
