"""Pages of other origins that the settings name: what lets their browser call `POST /rpc`.

A browser asks first (a preflight, without any credential) and then hides the answer from the page
unless we say whose it is. Only the page itself can add the token, as a header: cookies and other
ambient credentials are never asked for. For any other origin nothing here answers.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Scope

from gateway.http.access import header_values
from gateway.http.hosts import Allowed

PATH = "/rpc"
KEPT_S = "600"
"""How long a browser need not ask again: a setting that was taken back counts after that."""


def answer_headers(scope: Scope, allowed: Allowed) -> dict[str, str]:
    """What every answer to such a page says; empty for anybody else."""
    origins = header_values(scope, b"origin")
    if scope["type"] != "http" or scope["path"] != PATH or not allowed.shares(origins):
        return {}
    return {
        "access-control-allow-origin": origins[0],
        "access-control-expose-headers": "retry-after",
        "vary": "origin",
    }


def preflight(scope: Scope, allowed: Allowed) -> Response | None:
    """The answer to a browser that asks whether the page may call; None for other requests."""
    asks = scope["type"] == "http" and scope["method"] == "OPTIONS"
    if not asks or not header_values(scope, b"access-control-request-method"):
        return None
    if not answer_headers(scope, allowed):
        return None
    return Response(
        status_code=204,
        headers={
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization, content-type",
            "access-control-max-age": KEPT_S,
        },
    )
