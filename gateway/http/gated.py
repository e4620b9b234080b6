"""The methods of the catalogue with the gates before them and the numbers around them.

A wrapper, so that neither a method nor the dispatcher knows of load or metrics: the composition
root hands the dispatcher these methods instead of the bare ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from functools import update_wrapper
from typing import Any

from pydantic import BaseModel

from gateway.core.clock import Clock
from gateway.core.errors import Busy, describe
from gateway.http.admission import Admission, Share
from gateway.rpc.call import Call, Working
from gateway.rpc.method import Method
from gateway.telemetry.metrics import Metrics
from gateway.wire.jsonrpc import Id


def gated(
    methods: Sequence[Method[Any]], admission: Admission, metrics: Metrics, clock: Clock
) -> list[Method[Any]]:
    """The same methods, admitted and counted."""
    metrics.know_methods(method.name for method in methods)
    gates = [_Gate(method, admission, metrics, clock) for method in methods]
    return [
        replace(
            gate.method,
            handler=update_wrapper(gate, gate.method.handler),
            ready=gate.check_ready,
        )
        for gate in gates
    ]


@dataclass(eq=False)
class _Gate:
    method: Method[Any]
    admission: Admission
    metrics: Metrics
    clock: Clock

    async def __call__(self, call: Call, params: Any) -> BaseModel:
        begun = self.clock.monotonic()
        outcome = "cancelled"
        try:
            result = await self._admitted(call, params)
            outcome = "ok"
        except Exception as error:
            outcome = describe(error).kind
            raise
        finally:
            self.metrics.rpc_answered(self.method.name, outcome, self.clock.monotonic() - begun)
        return result

    def check_ready(self) -> None:
        """What needs no look at who asks; under load it is all a request costs. Raises `Busy`."""
        try:
            if self.method.always:
                return
            if self.method.adds_work:
                self.admission.check_open()
            self.admission.check_room()
        except Busy as busy:
            self.metrics.rpc_answered(self.method.name, describe(busy).kind, 0.0)
            raise

    async def _admitted(self, call: Call, params: Any) -> BaseModel:
        if self.method.always:
            return await self.method.handler(call, params)
        if self.method.adds_work:
            self.admission.check_work(call.principal.credential_id)
        if self.method.adds_work:  # it is rated
            return await self._worked_on(call, params, None)
        async with self.admission.share(call.principal) as share:
            return await self._worked_on(call, params, share)

    async def _worked_on(self, call: Call, params: Any, share: Share | None) -> BaseModel:
        self.admission.check_room()
        with self.admission.working():
            working = _Resting(call.working, self.admission, share)
            return await self.method.handler(replace(call, working=working), params)


@dataclass(frozen=True, slots=True)
class _Resting:
    """A request that waits for a turn takes no place among those that are worked on."""

    inner: Working
    admission: Admission
    share: Share | None

    def resting(self) -> AbstractAsyncContextManager[None]:
        return self._resting()

    @asynccontextmanager
    async def _resting(self) -> AsyncIterator[None]:
        async with self.inner.resting():
            self.admission.rest()
            if self.share is not None:
                self.share.give()
            try:
                yield
            finally:
                self.admission.take_back()
            if self.share is not None:
                await self.share.take()

    def cancel(self, id: Id) -> bool:
        return self.inner.cancel(id)
