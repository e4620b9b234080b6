"""`POST /rpc`: one JSON-RPC message, or a batch, a request."""

from __future__ import annotations

import asyncio
from functools import partial

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.core.clock import Clock
from gateway.core.errors import InvalidInput, TurngateError, Unauthenticated
from gateway.http.access import authenticated
from gateway.http.bounds import Bounds
from gateway.http.pace import HTTP_COST, Pace
from gateway.http.ports import Credentials, Rpc
from gateway.http.problems import refusal
from gateway.identity.principal import Principal

_GONE = 499
"""The client did not wait for the answer; nobody reads this."""

_REVOKED = Unauthenticated("the credential was revoked")


class RpcEndpoint:
    """Looks at what is cheap to look at first: kind, size, credential; then reads the body."""

    def __init__(
        self, rpc: Rpc, credentials: Credentials, bounds: Bounds, clock: Clock, pace: Pace
    ) -> None:
        self._rpc = rpc
        self._credentials = credentials
        self._bounds = bounds
        self._clock = clock
        self._pace = pace
        self._answering: dict[asyncio.Task[bytes | None], str] = {}

    def revoked(self, credential_id: str) -> None:
        """End the waits of a credential's requests and refuse them, a few in each pass of the loop:
        hundreds of refusals in one pass would delay the answer to the revocation."""
        for task, owner in tuple(self._answering.items()):
            if owner == credential_id:
                self._pace.later(owner, partial(_cancel, task), HTTP_COST)

    async def post(self, request: Request) -> Response:
        """Answer; a client that leaves ends what it waited for, and nothing that was accepted."""
        if not _is_json(request):
            error = InvalidInput("the body is JSON: send Content-Type: application/json")
            return refusal(error, status=415)
        bound = self._bounds.sizes.frame
        if int(request.headers.get("content-length", 0)) > bound:
            return _too_large(bound)
        try:
            await authenticated(request.scope, self._credentials)
        except TurngateError as error:
            return refusal(error)
        try:
            async with self._clock.timeout(self._bounds.deadlines.body_s):
                body = await _body(request, bound)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        except TimeoutError:
            return refusal(InvalidInput("the body took too long to arrive"), status=408)
        if body is None:
            return _too_large(bound)
        try:  # once more: a body may take longer than a credential lasts
            principal = await authenticated(request.scope, self._credentials)
        except TurngateError as error:
            return refusal(error)
        return await self._answer(request, body, principal)

    async def _answer(self, request: Request, body: bytes, principal: Principal) -> Response:
        address = request.scope["state"]["address"]
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(
                self._rpc.handle(body, principal, address), name="http.answer"
            )
            left = group.create_task(_left(request), name="http.left")
            self._answering[answer] = principal.credential_id
            answer.add_done_callback(self._answering.pop)
            await asyncio.wait({answer, left}, return_when=asyncio.FIRST_COMPLETED)
            gone = left.done()
            left.cancel()
            if not answer.done():
                answer.cancel()
        if answer.cancelled():
            return Response(status_code=_GONE) if gone else refusal(_REVOKED)
        frame = answer.result()
        if frame is None:
            return Response(status_code=204)
        return Response(frame, media_type="application/json")


def _cancel(task: asyncio.Task[bytes | None]) -> None:
    task.cancel()


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "")
    return kind.partition(";")[0].strip().lower() == "application/json"


def _too_large(bound: int) -> Response:
    return refusal(InvalidInput(f"a message has at most {bound} bytes"), status=413)


async def _body(request: Request, bound: int) -> bytes | None:
    """The body; None as soon as it is known to be too large, whatever was declared."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > bound:
            return None
    return bytes(body)


async def _left(request: Request) -> None:
    """Wait until the client has gone; cancelling it has no other effect."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
