"""One checked request through `jsonrpcserver`: it finds the method and shapes the answer.

Its own parser, schema check and error texts are not used: alone it answers three of the
specification's examples wrongly and shows exception texts. Whoever wants to do without it replaces
`Members.answer`; nothing else here or above names it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from gateway.rpc.call import Call
from gateway.wire.jsonrpc import JsonParams, Request

with warnings.catch_warnings():
    # It reads a package resource the old way while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from jsonrpcserver import Error, Result, Success, async_dispatch_to_serializable

Perform = Callable[[str, Call, JsonParams], Awaitable[tuple[Any, dict[str, Any] | None]]]
"""Runs a method by name; gives its result, or the error object; never raises an `Exception`."""


class Members:
    """The methods as `jsonrpcserver` wants them."""

    def __init__(self, names: Iterable[str], perform: Perform) -> None:
        self._methods = {name: _adapted(name, perform) for name in names}

    async def answer(self, request: Request, call: Call) -> dict[str, Any] | None:
        """The whole answer; None to a notification."""
        value: dict[str, Any] = {"method": request.method, "params": request.params}
        if not request.notification:
            value["id"] = request.id
        answer = await async_dispatch_to_serializable(
            value, self._methods, context=call, deserializer=_same, validator=_same
        )
        assert not isinstance(answer, list)  # that would be the answer to a batch
        return answer


def _adapted(name: str, perform: Perform) -> Callable[..., Awaitable[Result]]:
    # Positional only: `call` is a name a client may use for a parameter.
    async def method(call: Call, /, *args: Any, **kwargs: Any) -> Result:
        result, error = await perform(name, call, list(args) or kwargs)
        return Success(result) if error is None else Error(**error)

    # Looked at with every call; computed again each time it would cost a fifth of it.
    method.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]  # as PEP 362 has it
    return method


def _same(value: Any) -> Any:
    return value
