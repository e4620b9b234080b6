from __future__ import annotations

import pytest

from agents.models.refusal import MAX_RETRY_AFTER_MS, Refusal, read_refusal, retry_after_ms

NOW_MS = 1_445_412_450_000
"""Wed, 21 Oct 2015 07:27:30 GMT."""


@pytest.mark.parametrize(
    ("body", "codes", "message"),
    [
        ({"message": "m", "code": "C", "type": "T"}, ("c", "t"), "m"),
        ({"error": {"message": "m", "type": "T"}}, ("t",), "m"),
        ([{"error": {"message": "m", "code": 400, "status": "INVALID"}}], ("400", "invalid"), "m"),
        ({"object": "error", "message": "m", "type": "rate_limited"}, ("rate_limited",), "m"),
        ({"error": "words"}, (), "words"),
        ({"detail": "words"}, (), "words"),
        ("words", (), "words"),
        ("<html>words</html>", (), ""),
        (" \n<!DOCTYPE html>", (), ""),
        ({"message": {"a": 1}, "code": None, "type": True}, (), ""),
        (
            {"message": "m", "details": [{"reason": "API_KEY_INVALID"}, 7]},
            ("api_key_invalid",),
            "m",
        ),
        ({"message": "m", "details": "none"}, (), "m"),
        (None, (), ""),
        ([], (), ""),
        ({}, (), ""),
        (17, (), ""),
        ([[[[["deep"]]]]], (), ""),
    ],
)
def test_every_shape_of_body_is_read(body: object, codes: tuple[str, ...], message: str) -> None:
    assert read_refusal(body, status=400) == Refusal(400, codes, message)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7000),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "0.5"}, 500),
        ({"retry-after": " 3600 "}, 3_600_000),
        ({"retry-after-ms": "1500"}, 1500),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1500),
        ({"retry-after-ms": "soon", "retry-after": "7"}, 7000),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30_000),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000"}, 30_000),
        ({"retry-after": "Wed, 21 Oct 2015 07:00:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2099 07:00:00 GMT"}, MAX_RETRY_AFTER_MS),
        ({"retry-after": "999999999999"}, MAX_RETRY_AFTER_MS),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "\u0667"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_the_hint_is_understood_or_left_alone(
    headers: dict[str, str], expected: int | None
) -> None:
    assert retry_after_ms(headers, now_ms=NOW_MS) == expected


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ([{"retryDelay": "17.5s"}], 17_500),
        ([{"other": 1}, {"retryDelay": "3s"}], 3000),
        ([{"retryDelay": "soon"}, {"retryDelay": "xs"}], None),
        ([{"retryDelay": 3}], None),
    ],
)
def test_a_hint_may_stand_in_the_body(details: object, expected: int | None) -> None:
    body = {"error": {"code": 429, "details": details}}
    assert read_refusal(body).retry_after_ms == expected
    assert read_refusal(body, headers={"retry-after": "1"}).retry_after_ms == 1000


@pytest.mark.parametrize(
    ("message", "window"),
    [
        ("This model's maximum context length is 8192 tokens. You sent 9000.", 8192),
        ("prompt is too long: 200001 tokens > 200000 maximum", 200_000),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", 200_000),
        ("You passed 9000 tokens, but the model's context length is only 4096 tokens", 4096),
        ("input (9001 tokens) is longer than the model's maximum context length (8192)", 8192),
        ("the request exceeds the available context size (4096 tokens), try increasing it", 4096),
        ("The input token count (9) exceeds the maximum number of tokens allowed (1048576).",
         1_048_576),
        ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
         32_768),
        ("This model's maximum prompt length is 131,072 but the request has more", 131_072),
        ("Your request exceeded model token limit: 8192 (requested: 9000)", 8192),
        ("This endpoint's maximum context length is 4096 tokens.", 4096),
        ("Input is too long for requested model.", 0),
        ("maximum context length is 7 tokens", 0),
        ("maximum context length is 99999999999999999999 tokens", 0),
        ("x" * 2000 + " maximum context length is 8192", 0),
    ],
)  # fmt: skip
def test_the_window_is_learnt_from_the_complaint(message: str, window: int) -> None:
    assert read_refusal({"error": {"message": message}}, status=400).sizes.window == window


def test_a_window_in_a_field_of_its_own_is_taken() -> None:
    """llama.cpp: no words need to be read."""
    body = {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 9, "n_ctx": 4096}}
    assert read_refusal(body, status=400).sizes.window == 4096
    assert read_refusal({"error": {"n_ctx": True, "message": "x"}}, status=400).sizes.window == 0


def test_a_used_up_limit_says_when_it_is_back_where_nothing_else_does() -> None:
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "9s",
        "x-ratelimit-remaining-tokens": "5",
        "x-ratelimit-reset-tokens": "1m0s",
    }
    assert read_refusal({}, status=429, headers=headers).retry_after_ms == 9000
    assert read_refusal({}, status=500, headers=headers).retry_after_ms is None
    assert (
        read_refusal({}, status=429, headers=headers | {"retry-after": "2"}).retry_after_ms == 2000
    )
