"""What machines ask: is it alive, does it take work, how much of everything is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.clock import Clock
from gateway.core.errors import TurngateError
from gateway.http.access import authenticated
from gateway.http.ports import Credentials
from gateway.http.problems import refusal
from gateway.identity.principal import Scope
from gateway.telemetry.health import Health
from gateway.telemetry.metrics import CONTENT_TYPE, Metrics

STORE_S = 2.0
"""How long a write may take before the store counts as not writable: ten times a slow disk."""
FRESH_S = 1.0
"""How long an answer about the store is good for: anybody may ask, and each asks costs a write."""


class Probes:
    """`/healthz` fails only for what a restart can cure; `/readyz` says whether to send work."""

    def __init__(
        self, health: Health, store_writable: Callable[[], Awaitable[bool]], clock: Clock
    ) -> None:
        self._health = health
        self._store_writable = store_writable
        self._clock = clock
        self._known: tuple[float, bool] | None = None

    async def healthz(self, _request: Request) -> Response:
        """The loop answers, so it lives; and the store can be written."""
        alive = await self._writable()
        return _answer(alive, "ok" if alive else "the store cannot be written")

    async def readyz(self, _request: Request) -> Response:
        """200 while turns are accepted and there is room for more; the body has the state and its
        reasons."""
        return _answer(self._health.invites, self._health.state, self._health.reasons)

    async def _writable(self) -> bool:
        now = self._clock.monotonic()
        if self._known is not None and now - self._known[0] < FRESH_S:
            return self._known[1]
        self._known = (now, self._known[1] if self._known else True)  # one question at a time
        try:
            async with self._clock.timeout(STORE_S):
                writable = await self._store_writable()
        except (TimeoutError, TurngateError):
            writable = False
        self._known = (self._clock.monotonic(), writable)
        return writable


class MetricsPage:
    """`/metrics` in the text format of Prometheus."""

    def __init__(self, metrics: Metrics, credentials: Credentials, *, open_to_all: bool) -> None:
        self._metrics = metrics
        self._credentials = credentials
        self._open_to_all = open_to_all

    async def get(self, request: Request) -> Response:
        """The numbers, for anybody with the scope `read`, or simply anybody if so configured."""
        if not self._open_to_all:
            try:
                principal = await authenticated(request.scope, self._credentials)
                principal.require(Scope.READ)
            except TurngateError as error:
                return refusal(error)
        return Response(self._metrics.page(), headers={"content-type": CONTENT_TYPE})


def _answer(good: bool, status: str, reasons: Sequence[str] = ()) -> Response:
    body = {"status": status} | ({"reasons": reasons} if reasons else {})
    return Response(
        orjson.dumps(body),
        status_code=200 if good else 503,
        media_type="application/json",
    )
