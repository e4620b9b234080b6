"""From a checked request to its encoded answer: may it, does it fit, run it, catch it.

The order is: is there such a method, may the principal call it, is this the place for it, do the
parameters fit, run. Here is the one catch of all methods: what was raised on purpose is told, of
anything else the client learns an error id and the log the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson
import structlog

from gateway.core.errors import (
    TABLE,
    Bug,
    InvalidInput,
    RateLimited,
    TooLarge,
    TurngateError,
    Unauthenticated,
)
from gateway.core.suggestions import did_you_mean
from gateway.identity.principal import Principal
from gateway.rpc.call import Call, Client, Shared, Working
from gateway.rpc.catalog import METHODS
from gateway.rpc.member import Members
from gateway.rpc.method import Method
from gateway.rpc.openrpc import Document
from gateway.rpc.params import validated
from gateway.running import Gateway
from gateway.wire import jsonrpc
from gateway.wire.jsonrpc import Id, JsonParams, Request

MAX_RESULT_BYTES = 1 << 20
"""Largest page and answer to one request: what clients take as one frame without being told to.
One message is never larger, see `gateway.intake.limits`; one model's answer may be, and is sent."""
MAX_BATCH_BYTES = 4 << 20
"""Largest answer to a batch: the largest frame there is."""

log = structlog.get_logger(__name__)


Check = Callable[[Principal], None]


def anybody(_principal: Principal) -> None:
    """Allows every caller."""


class Dispatcher:
    """Answers requests by a catalogue of methods."""

    def __init__(
        self,
        gateway: Gateway,
        methods: Sequence[Method[Any]] = METHODS,
        *,
        max_result_bytes: int = MAX_RESULT_BYTES,
        max_frame_bytes: int = jsonrpc.MAX_FRAME_BYTES,
        check: Check = anybody,
    ) -> None:
        self.gateway = gateway
        self._check = check
        self._methods = {method.name: method for method in methods}
        self._max_result_bytes = max_result_bytes
        self.shared = Shared(
            Document(methods, gateway.about.version),
            max_result_bytes=max_result_bytes,
            max_frame_bytes=max_frame_bytes,
        )
        self._members = Members(self._methods, self._perform)

    def always(self, request: Request) -> bool:
        """Whether it is admitted however busy the client is."""
        method = self._methods.get(request.method)
        return method is not None and method.always

    def check_ready(self, request: Request) -> None:
        """Whether anybody may call this now. Raises `Busy`."""
        method = self._methods.get(request.method)
        if method is not None:
            method.ready()

    def check(self, principal: Principal, request: Request) -> None:
        """Charge a request, known or not; raises `RateLimited` where it is one too many.

        What steers is charged and let through.
        """
        try:
            self._check(principal)
        except RateLimited:
            if not self.always(request):
                raise

    def refusal(self, principal: Principal, request: Request) -> bytes | None:
        """The encoded refusal of a request that is one too many; None where it may be answered."""
        try:
            self.check(principal, request)
        except RateLimited as error:
            return jsonrpc.encode(jsonrpc.failure(request.id, jsonrpc.describe_error(error)))
        return None

    def call(
        self,
        principal: Principal,
        working: Working,
        address: str,
        *,
        client: Client | None = None,
        in_batch: bool = False,
    ) -> Call:
        """What a handler will hold."""
        return Call(
            self.gateway, self.shared, principal, working, address, client, in_batch=in_batch
        )

    async def answer(self, request: Request, call: Call) -> bytes | None:
        """The encoded answer; None to a notification. Raises nothing but cancellation."""
        if request.method not in self._methods:
            answer = None if request.notification else self._unknown(request)
        else:
            answer = await self._members.answer(request, call)
        return None if answer is None else self._encoded(request, answer)

    async def close(self) -> None:
        """Wait for what must not be cut; requests were ended by their sessions."""
        await self.shared.close()

    async def _perform(
        self, name: str, call: Call, params: JsonParams
    ) -> tuple[Any, dict[str, Any] | None]:
        method = self._methods[name]
        try:
            _admit(method, call)
            result = await method.handler(call, validated(method.params, params))
            text = result.model_dump_json().encode()
            if len(text) > self._max_result_bytes and not method.whole:
                raise TooLarge(
                    f"the result has {len(text)} bytes, at most {self._max_result_bytes} are sent; "
                    "ask for less, with `limit` and `cursor` where there are pages"
                )
            return orjson.Fragment(text), None
        # A boundary: whatever a method does, its client gets an answer and others are not affected.
        except Exception as error:  # noqa: BLE001
            call.written.clear()  # what the answer would have set off
            if isinstance(error, TurngateError) and not isinstance(error, Bug):
                return None, jsonrpc.describe_error(error)
            return None, self._bug(name, error)

    def _bug(self, method: str, error: Exception) -> dict[str, Any]:
        error_id = self.gateway.ids.new("e")
        log.error("rpc.bug", method=method, error_id=error_id, exc_info=error)
        return jsonrpc.error_object(
            TABLE[Bug],
            "something went wrong inside the gateway; its log says more under this error id",
            error_id=error_id,
        )

    def _unknown(self, request: Request) -> dict[str, Any]:
        space = request.method.partition(".")[0]
        related = sorted(name for name in self._methods if name.partition(".")[0] == space)
        hint = did_you_mean(
            request.method,
            self._methods,
            otherwise=f"in {space} there are: {', '.join(related)};" if related else "",
        )
        every = f"`rpc.discover` describes all {len(self._methods)}"
        said = " ".join(filter(None, ("there is no such method;", hint, every)))
        return jsonrpc.failure(request.id, jsonrpc.error_object(jsonrpc.METHOD_NOT_FOUND, said))

    def _encoded(self, request: Request, answer: dict[str, Any]) -> bytes:
        try:
            return jsonrpc.encode(answer)
        except TypeError as error:
            return jsonrpc.encode(jsonrpc.failure(request.id, self._bug(request.method, error)))


class Answers:
    """Collects the answers to a frame's members."""

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch
        self._frames: list[bytes] = []
        self._bytes = 0

    def add(self, id: Id, frame: bytes | None) -> None:
        """The answer to a member; one that does not fit any more is replaced by the reason."""
        if frame is None:
            return
        if self._batch and self._bytes + len(frame) > MAX_BATCH_BYTES:
            error = TooLarge(
                f"the answers to a batch have at most {MAX_BATCH_BYTES} bytes together; ask for "
                "this in a request of its own"
            )
            frame = jsonrpc.encode(jsonrpc.failure(id, jsonrpc.describe_error(error)))
        self._bytes += len(frame)
        self._frames.append(frame)

    def frame(self) -> bytes | None:
        """What to send; None when every member was a notification."""
        if self._batch:
            return jsonrpc.batch(self._frames)
        return self._frames[0] if self._frames else None


def _admit(method: Method[Any], call: Call) -> None:
    """Whether this principal may call this method here."""
    if method.scope is not None:
        if not call.principal.credential_id:
            raise Unauthenticated("call `connect` with a token first, or send it in the header")
        call.principal.require(method.scope)
    if call.in_batch and not method.in_batch:
        hint = "`turns.start`" if method.name == "send" else "a request of its own"
        raise InvalidInput(
            f"{method.name!r} may wait long and would hold up the batch; use {hint} instead"
        )
    if method.lasting and call.client is None:
        raise InvalidInput(
            f"{method.name!r} needs a connection that stays; open a WebSocket at /ws"
        )
