"""Methods that stand still where a test wants them to."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.core.errors import Bug, Busy, Conflict
from gateway.rpc.call import Call
from gateway.rpc.method import Method
from gateway.wire.methods.base import Bare, Params
from tests.support.patience import PATIENCE_S


class Name(Params):
    name: str = ""


class Said(Bare[Any]):
    pass


class Gates:
    """`hold` waits for `open`; `rest` waits without its place; `quick` passes by the line."""

    def __init__(self) -> None:
        self.entered: list[str] = []
        self.cancelled: list[str] = []
        self._open = asyncio.Event()
        self._changed = asyncio.Event()
        self.methods: tuple[Method[Any], ...] = (
            Method("hold", None, self._hold),
            Method("rest", None, self._rest),
            Method("quick", None, self._quick, always=True),
            Method("echo", None, self._quick),
            Method("alone", None, self._quick, in_batch=False),
            Method("lasting", None, self._quick, lasting=True),
            Method("fail", None, self._fail),
            Method("take_back", None, self._take_back, always=True),
            Method("who", None, self._who),
            Method("connect", None, self._connect, always=True),
            Method("later", None, self._later),
        )
        self.written: list[str] = []

    def open(self) -> None:
        """Let everything that stands still go on."""
        self._open.set()

    async def until(self, count: int) -> None:
        """Wait until so many have come to a gate."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.entered) < count:
                self._changed.clear()
                await self._changed.wait()

    async def _stand(self, name: str) -> None:
        self.entered.append(name)
        self._changed.set()
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise

    async def _hold(self, call: Call, params: Name) -> Said:
        await self._stand(params.name)
        return Said(params.name)

    async def _rest(self, call: Call, params: Name) -> Said:
        async with call.working.resting():
            await self._stand(params.name)
        return Said(params.name)

    async def _quick(self, call: Call, params: Name) -> Said:
        return Said(params.name)

    async def _fail(self, call: Call, params: Name) -> Said:
        call.written.append(lambda: self.written.append("never"))
        match params.name:
            case "conflict":
                raise Conflict("it has moved on")
            case "busy":
                raise Busy("full", retry_after_ms=7)
            case "bug":
                raise Bug("a secret: hunter2")
            case "surrogate":
                return Said("\ud800")
            case "object":
                return Said(object())
            case "words":
                raise Conflict("\ud800")
            case "large":
                return Said("x" * (1 << 20))
            case _:
                raise RuntimeError("a secret: hunter2")

    async def _take_back(self, call: Call, params: Name) -> Said:
        return Said(call.working.cancel(params.name))

    async def _who(self, call: Call, params: Name) -> Said:
        return Said(call.principal.name)

    async def _connect(self, call: Call, params: Name) -> Said:
        await self._stand("connect")
        principal = call.principal
        call.lasting.connection.become(
            type(principal)(params.name, principal.scopes, principal.credential_id)
        )
        call.lasting.introduce("a test")
        return Said(params.name)

    async def _later(self, call: Call, params: Name) -> Said:
        call.written.append(lambda: self.written.append(params.name))
        return Said(params.name)
