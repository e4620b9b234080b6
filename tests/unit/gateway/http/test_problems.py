"""Errors as HTTP answers."""

import json

import pytest

from gateway.core import errors
from gateway.http.problems import refusal, status_of


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.Unauthenticated(), 401),
        (errors.Forbidden(), 403),
        (errors.NotFound(), 404),
        (errors.Duplicate(), 409),
        (errors.RateLimited(), 429),
        (errors.Busy(), 503),
        (errors.InvalidInput(), 400),
        (errors.StoreUnavailable(), 503),
        (errors.Bug(), 500),
        (errors.ConfigError(), 500),
    ],
)
def test_every_kind_has_its_status(error: errors.TurngateError, status: int) -> None:
    assert status_of(error) == status
    assert refusal(error).status_code == status


def test_the_body_is_that_of_json_rpc_and_the_connection_ends() -> None:
    answer = refusal(errors.Busy("later", retry_after_ms=1001), status=420)
    assert answer.status_code == 420
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["connection"] == "close"
    assert json.loads(bytes(answer.body)) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {
            "code": -32029,
            "message": "later",
            "data": {"kind": "busy", "retryable": True, "retry_after_ms": 1001},
        },
    }


def test_who_is_not_known_is_told_how_to_say_it() -> None:
    assert refusal(errors.Unauthenticated("no")).headers["www-authenticate"] == "Bearer"
