"""A simulated model: decides what each request is answered with, and remembers the requests.

What a request is answered with is decided by, first that applies: the model name `fault:NAME` or
`cloud:NAME`, the answers in `simulator.script`, the rules, the `answer` function. It starts no turn
and knows nothing of the gateway it plays for. `gateway.simulate.server` puts it on a port.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from gateway.core.clock import Clock
from gateway.core.errors import ConfigError
from gateway.simulate.answers import MODEL, Raw, Reply, refusal
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import FAULTS, find
from gateway.simulate.clouds import CLOUD_MODEL, CLOUDS
from gateway.simulate.clouds import find as find_cloud
from gateway.simulate.fault import Fault
from gateway.simulate.rules import FAULT_MODEL, Rule, Rules, When
from gateway.simulate.sending import Sending

KEPT = 1000
"""Requests that are remembered; older ones are only counted."""

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Longest request read: twice what the largest provider takes."""

Answer = str | Reply | Raw | Fault
AnswerFunction = Callable[[Asked], Answer | Awaitable[Answer]]


class Simulator:
    """A simulated model that can be asked. Made by `simulating`."""

    def __init__(
        self,
        rules: Rules,
        clock: Clock,
        *,
        answer: AnswerFunction | None = None,
    ) -> None:
        self.url = ""
        """Where it listens, once it does."""
        self.answer = answer
        """Answers what no rule is for; None echoes."""
        self.script: deque[Answer] = deque()
        """Answers for the next requests, before any rule."""
        self.asked: deque[Asked] = deque(maxlen=KEPT)
        """The requests, oldest first."""
        self.count = 0
        """How many requests have arrived."""
        self.connections = 0
        """How many connections were ever accepted."""
        self.refuse: Callable[[float], None] = _not_listening
        """Refuse connections for so many seconds."""
        self._rules = rules
        self._clock = clock
        self._arrived = asyncio.Condition()
        self._released = asyncio.Event()
        self._by_fault: Counter[str] = Counter()
        self._by_model: Counter[str] = Counter()
        self._by_key: Counter[str] = Counter()

    @property
    def base_url(self) -> str:
        """What an OpenAI client is given as base URL."""
        return f"{self.url}/v1"

    def set(self, fault: str, **when: Any) -> str:
        """Answer with this fault from now on, for requests that `When(**when)` is for.

        Returns the name to `clear` it by; raises `ConfigError` for an unknown fault.
        """
        return self.add(Rule(When(**when), fault=find(fault)))

    def add(self, rule: Rule) -> str:
        """Put a rule before all others; returns the name to `clear` it by."""
        return self._rules.add(rule, now_s=self._clock.monotonic())

    def clear(self, name: str | None = None) -> int:
        """Take one added rule away, or all; returns how many went."""
        return self._rules.clear(name)

    def added(self) -> dict[str, Rule]:
        """The rules added while it runs, newest first."""
        return self._rules.added()

    def release(self) -> None:
        """Let every answer that holds go on."""
        self._released.set()

    async def wait_for(self, count: int) -> Asked:
        """The `count`-th request, once it has arrived; the caller bounds the wait. It must be one
        of the last `KEPT`."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.count >= count)
        return self.asked[count - 1 - (self.count - len(self.asked))]

    def counters(self) -> dict[str, Any]:
        """How many requests there were, by what they were answered with, by model, by key."""
        return {
            "requests": self.count,
            "connections": self.connections,
            "answers": dict(self._by_fault),
            "models": dict(self._by_model),
            "keys": dict(self._by_key),
        }

    async def models(self, _request: Request) -> Response:
        """`GET /v1/models`."""
        clouds = (f"{CLOUD_MODEL}{name}" for name in CLOUDS)
        names = (MODEL, *clouds, *(f"{FAULT_MODEL}{name}" for name in FAULTS))
        data = [{"id": n, "object": "model", "created": 0, "owned_by": "turngate"} for n in names]
        return JSONResponse({"object": "list", "data": data})

    async def chat(self, request: Request) -> Any:
        """`POST /v1/chat/completions`."""
        try:
            body = json.loads(await read_body(request, MAX_BODY_BYTES))
        except ValueError as error:
            return self._sent(_nothing(request), refusal(400, {"message": f"not JSON: {error}"}))
        except ClientDisconnect:
            return Response(status_code=499)
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            return self._sent(_nothing(request), refusal(400, {"message": "messages: missing"}))
        asked = Asked(self.count + 1, self._clock.now_ms(), body, request.headers)
        self.count += 1
        self.asked.append(asked)
        async with self._arrived:
            self._arrived.notify_all()
        raw = await self._raw(asked)
        self._by_fault[asked.fault or "answer"] += 1
        self._by_model[asked.model] += 1
        self._by_key[asked.key] += 1
        return self._sent(asked, raw)

    def _sent(self, asked: Asked, raw: Raw) -> Sending:
        return Sending(asked, raw, self._released, self._clock)

    async def _raw(self, asked: Asked) -> Raw:
        try:
            answer = await self._choose(asked)
        except ConfigError as error:
            return refusal(404, {"message": str(error), "code": "model_not_found"})
        if isinstance(answer, Fault):
            asked.fault = answer.name
            return answer.raw(self._clock.now_ms())
        if isinstance(answer, str):
            answer = Reply(answer)
        if isinstance(answer, Reply):
            return answer.render(
                asked.number, asked.model, stream=asked.stream, prompt_chars=asked.prompt_chars
            )
        return answer

    async def _choose(self, asked: Asked) -> Answer:
        if asked.model.startswith(CLOUD_MODEL):
            return find_cloud(asked.model.removeprefix(CLOUD_MODEL)).exchange(asked)
        if self.script and not asked.model.startswith(FAULT_MODEL):
            return self.script.popleft()
        found = self._rules.choose(asked, now_s=self._clock.monotonic())
        if found is None:
            if self.answer is None:
                return f"You said: {asked.user_text}"
            answer = self.answer(asked)
            return await answer if inspect.isawaitable(answer) else answer
        return found


def _not_listening(seconds: float) -> None:
    """There is no port to close for `seconds`."""


def _nothing(request: Request) -> Asked:
    return Asked(0, 0, {}, request.headers)


async def read_body(request: Request, bound: int) -> bytes:
    """The body; raises `ValueError` as soon as it is longer than `bound` bytes."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > bound:
            raise ValueError(f"a request has at most {bound} bytes")
    return bytes(body)
