"""JSON-RPC as the network surface sees it: sessions for sockets, one shot for `POST /rpc`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from gateway.identity.principal import Principal
from gateway.rpc.call import Connection
from gateway.rpc.catalog import METHODS
from gateway.rpc.dispatch import Answers, Check, Dispatcher, anybody
from gateway.rpc.method import Method
from gateway.rpc.session import RpcSession
from gateway.running import Gateway
from gateway.runs.gate import Use
from gateway.wire import jsonrpc
from gateway.wire.jsonrpc import Id, Refused


class Alone:
    """`gateway.rpc.call.Working` of a request that shares nothing with others."""

    def resting(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def cancel(self, id: Id) -> bool:
        return False


class Rpc:
    """The methods of one gateway."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def show(self, network: Callable[[], Sequence[Use]]) -> None:
        """Let `status` tell how far the bounds of the network surface are used."""
        self._dispatcher.shared.network = network

    def open_session(self, connection: Connection, address: str) -> RpcSession:
        """Begin to answer the messages of a WebSocket."""
        return RpcSession(self._dispatcher, connection, address=address)

    async def handle(self, frame: bytes | str, principal: Principal, address: str) -> bytes | None:
        """Answer one message; None when there is nothing to answer.

        Cancelled: what it waited for goes on without it.
        """
        parsed = jsonrpc.parse(frame, max_bytes=self._dispatcher.shared.max_frame_bytes)
        answers = Answers(batch=parsed.batch)
        for member in parsed.members:
            if isinstance(member, Refused):
                answers.add(member.id, member.frame())
                continue
            if (refused := self._dispatcher.refusal(principal, member)) is not None:
                answers.add(member.id, refused)
                continue
            call = self._dispatcher.call(principal, Alone(), address, in_batch=parsed.batch)
            answers.add(member.id, await self._dispatcher.answer(member, call))
            for callback in call.written:
                callback()
        return answers.frame()

    async def close(self) -> None:
        """Wait for what must not be cut; sessions are closed before."""
        await self._dispatcher.close()


def open_rpc(
    gateway: Gateway,
    methods: Sequence[Method[Any]] = METHODS,
    *,
    frame_bytes: int = jsonrpc.MAX_FRAME_BYTES,
    check: Check = anybody,
) -> Rpc:
    """The methods of the catalogue, or the same wrapped; `close` it after its sessions.

    `check` raises `RateLimited` for a principal that may ask nothing now.
    """
    return Rpc(Dispatcher(gateway, methods, max_frame_bytes=frame_bytes, check=check))
