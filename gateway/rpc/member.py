"""One checked request through `jsonrpcserver`: it calls the method and shapes the answer.

Its own parser, schema check and error texts are not used: alone it answers three of the
specification's examples wrongly and shows exception texts. Nor is its way of a batch, which is a
task a member, nor its look at the signature, which takes any parameters here: the two cost as much
as all the rest of a request. To do without it, replace `Members.answer`; nothing else
here or above names it.
"""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from gateway.rpc.call import Call
from gateway.wire.jsonrpc import JsonParams, Request

with warnings.catch_warnings():
    # It reads a package resource the old way while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from jsonrpcserver import Error, Result, Success
    from jsonrpcserver.async_dispatcher import call as call_method
    from jsonrpcserver.dispatcher import to_response
    from jsonrpcserver.request import Request as Called
    from jsonrpcserver.response import to_serializable_one

Perform = Callable[[str, Call, JsonParams], Awaitable[tuple[Any, dict[str, Any] | None]]]
"""Runs a method by name; gives its result, or the error object; never raises an `Exception`."""


class Members:
    """The methods as `jsonrpcserver` wants them."""

    def __init__(self, names: Iterable[str], perform: Perform) -> None:
        self._methods = {name: _adapted(name, perform) for name in names}

    async def answer(self, request: Request, call: Call) -> dict[str, Any] | None:
        """The whole answer; None to a notification. The method must be there."""
        called = Called(request.method, request.params, request.id)
        result = await call_method(called, call, self._methods[request.method])
        if request.notification:
            return None
        answer = to_serializable_one(to_response(called, result))
        assert isinstance(answer, dict)  # what it says of its own functions is wider
        return answer


def _adapted(name: str, perform: Perform) -> Callable[..., Awaitable[Result]]:
    # Positional only: `call` is a name a client may use for a parameter.
    async def method(call: Call, /, *args: Any, **kwargs: Any) -> Result:
        result, error = await perform(name, call, list(args) or kwargs)
        return Success(result) if error is None else Error(**error)

    return method
