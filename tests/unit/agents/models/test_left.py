"""Headers of limits."""

from __future__ import annotations

import pytest

from agents.base.models import Left
from agents.models.left import read_left

NOW = 1_700_000_000_000


def test_what_openai_says_is_read() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert read_left(headers, now_ms=NOW) == Left(
        59, 60, NOW + 1000, 149_984, 150_000, NOW + 360_000
    )


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("20ms", 20), ("7.66s", 7660), ("1h2m3s", 3_600_000), ("", 0), ("soon", 0), ("-1s", 0)],
)
def test_a_wait_is_a_duration_of_at_most_an_hour(text: str, milliseconds: int) -> None:
    headers = {"x-ratelimit-remaining-tokens": "1", "x-ratelimit-reset-tokens": text}
    left = read_left(headers, now_ms=NOW)
    assert left is not None
    assert left.tokens_at_ms == NOW + milliseconds
    assert left.requests is None


def test_nothing_said_is_nothing_and_garbage_is_not_there() -> None:
    assert read_left({}, now_ms=NOW) is None
    left = read_left({"x-ratelimit-remaining-requests": "-1"}, now_ms=NOW)
    assert left == Left(None, None, NOW, None, None, NOW)


def test_what_anthropic_says_is_read() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:25Z",
        "anthropic-ratelimit-tokens-limit": "80000",
        "anthropic-ratelimit-tokens-remaining": "79000",
        "anthropic-ratelimit-tokens-reset": "2023-11-14T22:13:21Z",
        "anthropic-ratelimit-input-tokens-remaining": "1",
    }
    assert read_left(headers, now_ms=NOW) == Left(49, 50, NOW + 5000, 79_000, 80_000, NOW + 1000)


def test_input_tokens_stand_for_tokens_where_nothing_else_is_said() -> None:
    left = read_left({"anthropic-ratelimit-input-tokens-remaining": "7"}, now_ms=NOW)
    assert left == Left(None, None, NOW, 7, None, NOW)


@pytest.mark.parametrize(
    ("date", "at_ms"),
    [
        ("2023-11-14T22:13:00Z", NOW),
        ("2023-11-14T22:13:21", NOW + 1000),
        ("2033-01-01T00:00:00Z", NOW + 3_600_000),
    ],
)
def test_a_date_is_neither_past_nor_far_away(date: str, at_ms: int) -> None:
    headers = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": date,
    }
    left = read_left(headers, now_ms=NOW)
    assert left is not None
    assert left.requests_at_ms == at_ms
