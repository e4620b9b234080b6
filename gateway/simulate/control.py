"""Steering a simulator while it runs: JSON-RPC over `POST /control`.

For tests in other processes and for whoever rehearses. Pages of strangers are kept out by the kind
of body, which they cannot send unasked, and by the name in `Host`; other machines by a token.
"""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import Any

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
from gateway.simulate import file
from gateway.simulate.asked import Asked
from gateway.simulate.catalog import FAULTS
from gateway.simulate.rules import Rule
from gateway.simulate.simulator import Simulator, read_body
from gateway.telemetry.redaction import Redactor
from gateway.wire import jsonrpc

MAX_LISTED = 1000
"""Requests listed at once."""


class Control:
    """Answers calls; `keys` are those that may be shown whole."""

    def __init__(self, simulator: Simulator, *, token: str = "", keys: Iterable[str] = ()) -> None:
        self._simulator = simulator
        self._token = token
        self._keys = frozenset(keys)
        self._redactor = Redactor()
        self._methods: dict[str, Callable[[dict[str, Any]], object]] = {
            "faults.list": self._list,
            "faults.set": self._set,
            "faults.clear": self._clear,
            "requests.list": self._requests,
            "counters": self._counters,
            "answers.release": self._release,
            "listener.close": self._close,
        }

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
            "at_ms": asked.at_ms,
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
        method = self._methods.get(member.method)
        if method is None:
            known = ", ".join(self._methods)
            error = jsonrpc.error_object(jsonrpc.METHOD_NOT_FOUND, f"there is: {known}")
            return jsonrpc.failure(member.id, error)
        try:
            if not isinstance(member.params, dict):
                raise InvalidInput("params is an object")
            return {"jsonrpc": "2.0", "id": member.id, "result": method(member.params)}
        except ConfigError as error:
            return self._failure(member, InvalidInput(str(error)))
        except TurngateError as error:
            return self._failure(member, error)

    def _failure(self, member: jsonrpc.Request, error: TurngateError) -> Mapping[str, Any]:
        return jsonrpc.failure(member.id, jsonrpc.describe_error(error))

    def _list(self, params: dict[str, Any]) -> object:
        _only(params)
        return {
            "faults": [
                {"name": fault.name, "leads_to": fault.leads_to, "shows": fault.shows}
                for fault in FAULTS.values()
            ],
            "set": [
                {"id": name, **self._rule(rule)} for name, rule in self._simulator.added().items()
            ],
        }

    def _set(self, params: dict[str, Any]) -> object:
        return {"id": self._simulator.add(file.rule(params))}

    def _clear(self, params: dict[str, Any]) -> object:
        _only(params, "id")
        return {"cleared": self._simulator.clear(params.get("id"))}

    def _requests(self, params: dict[str, Any]) -> object:
        _only(params, "limit")
        limit = params.get("limit", 50)
        if not isinstance(limit, int) or not 1 <= limit <= MAX_LISTED:
            raise InvalidInput(f"limit is a number from 1 to {MAX_LISTED}, not {limit!r}")
        latest = list(self._simulator.asked)[-limit:]
        return {"requests": [self.shown(asked) for asked in latest]}

    def _counters(self, params: dict[str, Any]) -> object:
        _only(params)
        found = self._simulator.counters()
        keys: dict[str, int] = {}
        for key, count in found["keys"].items():
            keys[self._key(key)] = keys.get(self._key(key), 0) + count
        return found | {"keys": keys}

    def _release(self, params: dict[str, Any]) -> object:
        _only(params)
        self._simulator.release()
        return {}

    def _close(self, params: dict[str, Any]) -> object:
        _only(params, "for_s")
        seconds = params.get("for_s")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds <= 0:
            raise InvalidInput(f"for_s is a number of seconds above 0, not {seconds!r}")
        self._simulator.refuse(seconds)
        return {}

    def _rule(self, rule: Rule) -> dict[str, Any]:
        when: dict[str, Any] = dataclasses.asdict(rule.when)
        fault = rule.fault.name if rule.fault else None
        return when | {"key": self._key(rule.when.key), "fault": fault}

    def _key(self, key: str) -> str:
        """The key where the file names it, else its last characters: it may be a real one."""
        return key if key in self._keys or len(key) < 8 else f"…{key[-4:]}"


def _only(params: dict[str, Any], *names: str) -> None:
    unknown = sorted(params.keys() - set(names))
    if unknown:
        raise InvalidInput(f"unknown: {', '.join(unknown)}; there is: {', '.join(names) or '-'}")
