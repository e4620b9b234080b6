"""One WebSocket client: takes its frames in, works on them side by side, answers each.

Reading never waits for an answer. At most `slots.WORKING` requests are worked on, more wait in a
short line or are told so; what must always get through passes by. Refusals are written before the
next frame is read, so who sends without reading is slowed down by itself. Closing ends requests and
streams, never turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from gateway.core.errors import Busy, InvalidInput, RateLimited, RequestCancelled, TurngateError
from gateway.core.tasks import Ending, TaskOwner
from gateway.rpc.call import Client, Connection, Presence
from gateway.rpc.dispatch import Answers, Dispatcher
from gateway.rpc.flights import Flight, Flights
from gateway.rpc.slots import RETRY_MS, Place, Slots
from gateway.rpc.subscriptions import ConnectionSubscriptions
from gateway.telemetry.tasks import task_failed
from gateway.wire import jsonrpc
from gateway.wire.jsonrpc import Id, Member, Refused, Request

IN_FLIGHT = 1024
"""Requests of one connection without an answer, those that only wait included."""
ALWAYS = 64
"""Requests past the line at once; the next is read when one of these has its answer."""

GREETINGS = frozenset({"connect", "rpc.login"})
"""Requests that the ones behind them wait for."""


# Not frozen, although nobody changes them: each request makes one of each, and freezing costs.
@dataclass(slots=True)
class _Working:
    """`gateway.rpc.call.Working`; without a place for what passed by the line."""

    flights: Flights
    place: Place | None

    def resting(self) -> AbstractAsyncContextManager[None]:
        return self.place.resting() if self.place is not None else nullcontext()

    def cancel(self, id: Id) -> bool:
        return self.flights.cancel(id)


@dataclass(slots=True)
class _Entry:
    """A member that was let in, or the answer to one that was not."""

    member: Member
    flight: Flight | None = None


@dataclass(slots=True)
class _Job:
    """A frame being worked on; `written` is what its answer sets off."""

    entries: list[_Entry]
    batch: bool
    place: Place | None
    written: list[Callable[[], None]] = field(default_factory=list)


class RpcSession:
    """See the module. `receive` is called by one task, frame by frame."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        connection: Connection,
        *,
        address: str,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._dispatcher = dispatcher
        self._connection = connection
        self._address = address
        self._in_flight = in_flight
        self._requests = TaskOwner("rpc.request", task_failed)
        self._streams = TaskOwner("rpc.stream", task_failed)
        gateway = dispatcher.gateway
        self._subscriptions = ConnectionSubscriptions(
            gateway.ids,
            self._streams,
            lambda: connection.principal.credential_id,
            dispatcher.shared.streams,
        )
        self._client = Client(connection, self._subscriptions, self._introduce)
        self._flights = Flights()
        self._slots = Slots(gateway.clock)
        self._always = asyncio.Semaphore(ALWAYS)
        self._greeting: asyncio.Task[None] | None = None
        self._presence = Presence(connection.principal.name)
        dispatcher.shared.present[self._presence] = None
        self._closed = False

    async def receive(self, frame: bytes | str) -> None:
        """Take a frame in; returns without waiting for its answer."""
        if self._closed:
            return
        parsed = jsonrpc.parse(frame, max_bytes=self._dispatcher.shared.max_frame_bytes)
        entries = [self._enter(member) for member in parsed.members]
        let_in = [entry.member for entry in entries if isinstance(entry.member, Request)]
        always = all(map(self._dispatcher.always, let_in))
        try:
            for request in let_in:
                self._dispatcher.check(self._connection.principal, request)
            if let_in and not always:
                self._check_room()
                for request in let_in:
                    self._dispatcher.check_ready(request)
        except (Busy, RateLimited) as error:
            await self._refuse(entries, error, batch=parsed.batch)
            return
        if not let_in:
            await self._refuse(entries, None, batch=parsed.batch)
            return
        if always:
            await self._always.acquire()
        job = _Job(entries, parsed.batch, None if always else Place(self._slots))
        task = self._requests.start(let_in[0].method, self._work(job), ending=Ending.CANCELLABLE)
        if any(request.method in GREETINGS for request in let_in):
            self._greeting = task

    async def close(self) -> None:
        """The client is gone: end its requests and streams. Turns go on."""
        self._closed = True
        self._dispatcher.shared.present.pop(self._presence, None)
        self._subscriptions.close()
        await self._streams.close()
        await self._requests.close()

    def _enter(self, member: Member) -> _Entry:
        if isinstance(member, Refused):
            return _Entry(member)
        try:
            return _Entry(member, self._flights.enter(member))
        except InvalidInput as error:
            # Under its id the answer would be taken for that of the request that has it.
            return _Entry(Refused(jsonrpc.error_object(jsonrpc.INVALID_REQUEST, str(error))))

    def _check_room(self) -> None:
        if len(self._requests) >= self._in_flight:
            raise Busy(
                f"{self._in_flight} requests of this connection have no answer yet; wait for some",
                retry_after_ms=RETRY_MS,
            )
        self._slots.check()

    async def _refuse(
        self, entries: list[_Entry], error: TurngateError | None, *, batch: bool
    ) -> None:
        """Answer without working, and before the next frame is read."""
        answers = Answers(batch=batch)
        for entry in entries:
            self._leave(entry)
            answers.add(entry.member.id, _refusal(entry.member, error))
        await self._respond(answers)

    async def _work(self, job: _Job) -> None:
        answers = Answers(batch=job.batch)
        try:
            busy = await _taken(job.place)
            for entry in job.entries:
                answers.add(entry.member.id, await self._answer(entry, job, busy))
            await self._respond(answers, last=len(self._requests) == 1)
            for callback in job.written:
                callback()
        finally:
            for entry in job.entries:
                self._leave(entry)
            if job.place is not None:
                job.place.leave()
            else:
                self._always.release()

    async def _answer(self, entry: _Entry, job: _Job, busy: Busy | None) -> bytes | None:
        request, flight = entry.member, entry.flight
        if isinstance(request, Refused) or flight is None or busy is not None:
            return _refusal(request, busy)
        working = _Working(self._flights, job.place)

        async def work() -> bytes | None:
            await self._greeted()
            call = self._dispatcher.call(
                self._connection.principal,
                working,
                self._address,
                client=self._client,
                in_batch=job.batch,
            )
            frame = await self._dispatcher.answer(request, call)
            job.written.extend(call.written)
            return frame

        try:
            return await flight.run(work)
        except RequestCancelled as error:
            return _refusal(request, error)
        finally:
            self._leave(entry)

    async def _greeted(self) -> None:
        """What a client sends behind its `connect` is answered as whom it said it is."""
        greeting = self._greeting
        if greeting is not None and greeting is not asyncio.current_task():
            await asyncio.wait({greeting})

    async def _respond(self, answers: Answers, *, last: bool = False) -> None:
        frame = answers.frame()
        if frame is not None and not self._closed:
            await self._connection.respond(frame, last=last)

    def _leave(self, entry: _Entry) -> None:
        if isinstance(entry.member, Request) and entry.flight is not None:
            self._flights.leave(entry.member, entry.flight)

    def _introduce(self, client: str) -> None:
        self._presence.principal = self._connection.principal.name
        self._presence.client = client or self._presence.client


async def _taken(place: Place | None) -> Busy | None:
    """Take the place; the refusal where there was none for too long."""
    try:
        if place is not None:
            await place.take()
    except Busy as error:
        return error
    return None


def _refusal(member: Member, error: TurngateError | None) -> bytes | None:
    """The answer to a member that is not worked on; none to a notification."""
    if isinstance(member, Refused):
        return member.frame()
    if member.notification or error is None:
        return None
    return jsonrpc.encode(jsonrpc.failure(member.id, jsonrpc.describe_error(error)))
