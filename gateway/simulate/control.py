"""Steering a simulator while it runs: JSON-RPC over `POST /rpc`, on its own port.

For tests in other processes and for rehearsals. Pages of strangers are kept out by the kind
of body, which they cannot send unasked, and by the name in `Host`; other machines by a token.
"""

from __future__ import annotations

import dataclasses
import hmac
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.core.addresses import is_loopback
from gateway.core.errors import (
    CallerError,
    ConfigError,
    Forbidden,
    InvalidInput,
    TurngateError,
    Unauthenticated,
)
from gateway.rpc.params import validated
from gateway.simulate.asked import Asked
from gateway.simulate.file import RuleShape
from gateway.simulate.rules import Rule, When
from gateway.simulate.simulator import KEPT, Simulator, read_body
from gateway.telemetry.redaction import Redactor
from gateway.wire import jsonrpc
from gateway.wire.methods.base import Params

ANY = When()
"""What narrows nothing, and is not worth showing."""


class Nothing(Params):
    """No parameters."""


class Clear(Params):
    """Which rule goes."""

    id: str | None = Field(None, description="The id that setting it returned; none: all.")


class Latest(Params):
    """How much is listed."""

    limit: int = Field(50, ge=1, le=KEPT, description="Maximum requests listed.")


class Close(Params):
    """How long nobody gets in."""

    for_s: float = Field(gt=0, description="Seconds.")


class Control:
    """Answers calls; `keys` are those that may be shown whole."""

    def __init__(self, simulator: Simulator, *, token: str = "", keys: Iterable[str] = ()) -> None:
        self._simulator = simulator
        self._token = token
        self._keys = frozenset(keys)
        self._redactor = Redactor()

    async def post(self, request: Request) -> Response:
        """One message or a batch."""
        try:
            self._admit(request)
        except CallerError as error:
            refused = jsonrpc.failure(None, jsonrpc.describe_error(error))
            return JSONResponse(refused, status_code=403)
        try:
            parsed = jsonrpc.parse(await read_body(request, jsonrpc.MAX_FRAME_BYTES))
        except ValueError as error:
            return Response(str(error), status_code=413)
        answers = [a for member in parsed.members if (a := self._answer(member)) is not None]
        frame = jsonrpc.batch(answers) if parsed.batch else next(iter(answers), None)
        if frame is None:
            return Response(status_code=204)
        return Response(frame, media_type="application/json")

    def shown(self, asked: Asked) -> dict[str, Any]:
        """A request as it may be shown."""
        return {
            "number": asked.number,
            "at": asked.at_ms,
            "model": self._redactor.text(asked.model),
            "key": self._key(asked.key),
            "stream": asked.stream,
            "text": self._redactor.text(asked.user_text),
            "fault": asked.fault or None,
            "answered": asked.answered,
            "gone": asked.gone.is_set(),
        }

    def _admit(self, request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise InvalidInput("the body is JSON: send Content-Type: application/json")
        if self._token:
            # Headers come decoded as Latin-1; what matters are the bytes that were sent.
            given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not hmac.compare_digest(given.encode("latin-1"), self._token.encode()):
                raise Unauthenticated("send the token of the simulator as Authorization: Bearer")
        elif not is_loopback(request.url.hostname or ""):
            raise Forbidden("this name may not steer the simulator: call it at 127.0.0.1")

    def _answer(self, member: jsonrpc.Member) -> bytes | None:
        if isinstance(member, jsonrpc.Refused):
            return member.frame()
        answer = self._result(member)
        return None if member.notification else jsonrpc.encode(answer)

    def _result(self, member: jsonrpc.Request) -> Mapping[str, Any]:
        if member.method not in METHODS:
            error = jsonrpc.error_object(
                jsonrpc.METHOD_NOT_FOUND, f"there is: {', '.join(METHODS)}"
            )
            return jsonrpc.failure(member.id, error)
        shape, method = METHODS[member.method]
        try:
            result = method(self, validated(shape, member.params))
        except ConfigError as error:
            return self._failure(member, InvalidInput(str(error)))
        except TurngateError as error:
            return self._failure(member, error)
        return {"jsonrpc": "2.0", "id": member.id, "result": result}

    def _failure(self, member: jsonrpc.Request, error: TurngateError) -> Mapping[str, Any]:
        return jsonrpc.failure(member.id, jsonrpc.describe_error(error))

    def set(self, params: RuleShape) -> object:
        """Fail like this from now on, or answer with a reply; the newest rule comes first."""
        return {"id": self._simulator.add(params.to_rule())}

    def list(self, _: Nothing) -> object:
        """What was set, newest first."""
        return {"faults": [self._rule(*found) for found in self._simulator.added().items()]}

    def clear(self, params: Clear) -> object:
        """Take one rule away that was set, or all of them."""
        return {"cleared": self._simulator.clear(params.id)}

    def requests(self, params: Latest) -> object:
        """The latest requests, oldest first."""
        latest = [*self._simulator.asked][-params.limit :]
        return {"requests": [self.shown(asked) for asked in latest]}

    def counters(self, _: Nothing) -> object:
        """How many requests there were, by answer, model and key."""
        found = self._simulator.counters()
        keys: Counter[str] = Counter()
        for key, count in found["keys"].items():
            keys[self._key(key)] += count
        return found | {"keys": keys}

    def release(self, _: Nothing) -> object:
        """Let go what `silent` faults hold back."""
        self._simulator.release()
        return {}

    def close(self, params: Close) -> object:
        """Refuse connections for a while."""
        self._simulator.refuse(params.for_s)
        return {}

    def _rule(self, name: str, rule: Rule) -> dict[str, Any]:
        when = {
            member: value
            for member, value in dataclasses.asdict(rule.when).items()
            if value != getattr(ANY, member)
        }
        if rule.when.key:
            when["key"] = self._key(rule.when.key)
        fault, reply = rule.fault, rule.reply
        return {
            "id": name,
            "fault": fault.name if fault else None,
            "reply": reply.text if reply else None,
            "when": when,
        }

    def _key(self, key: str) -> str:
        """The key where the file names it, else its last characters: it may be a real one."""
        return key if key in self._keys or len(key) < 8 else f"…{key[-4:]}"


Handler = Callable[[Control, Any], object]

METHODS: dict[str, tuple[type[Params], Handler]] = {
    "faults.set": (RuleShape, Control.set),
    "faults.list": (Nothing, Control.list),
    "faults.clear": (Clear, Control.clear),
    "requests.list": (Latest, Control.requests),
    "counters": (Nothing, Control.counters),
    "answers.release": (Nothing, Control.release),
    "listener.close": (Close, Control.close),
}
"""What each method takes, and what it does."""
