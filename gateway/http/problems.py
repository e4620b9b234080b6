"""An error as an HTTP answer: one status for each kind, and the same body as over JSON-RPC."""

from __future__ import annotations

import math
from http import HTTPStatus

import orjson
from starlette.responses import Response

from gateway.core import errors
from gateway.wire import jsonrpc

# What has no line here and is on purpose is the caller's fault; what is not is ours.
_STATUS: tuple[tuple[type[errors.TurngateError], int], ...] = (
    (errors.Unauthenticated, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.RateLimited, 429),
    (errors.Busy, 503),
    (errors.CallerError, 400),
    (errors.StoreUnavailable, 503),
)


def refusal(error: errors.TurngateError, *, status: int | None = None) -> Response:
    """The answer for an error raised on purpose; ends the connection, body read or not.

    `status` where HTTP has a finer word than the kind.
    """
    headers = {"connection": "close"}
    if error.retry_after_ms is not None:
        headers["retry-after"] = _seconds(error.retry_after_ms)
    if isinstance(error, errors.Unauthenticated):
        headers["www-authenticate"] = "Bearer"
    return Response(
        body_of(error),
        status_code=status or status_of(error),
        media_type="application/json",
        headers=headers,
    )


def body_of(error: errors.TurngateError) -> bytes:
    """The body alone, for answers that no application gives."""
    return orjson.dumps(jsonrpc.failure(None, jsonrpc.describe_error(error)))


def whole_response(error: errors.TurngateError, status: HTTPStatus) -> bytes:
    """A whole response in bytes, for a peer whose request was not looked at."""
    body = body_of(error)
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "connection: close",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    if error.retry_after_ms is not None:
        head.append(f"retry-after: {_seconds(error.retry_after_ms)}")
    return "\r\n".join([*head, "", ""]).encode() + body


def status_of(error: errors.TurngateError) -> int:
    """The HTTP status of an error."""
    return next((status for cls, status in _STATUS if isinstance(error, cls)), 500)


def _seconds(ms: int) -> str:
    return str(max(1, math.ceil(ms / 1000)))
