"""Numbers in complaints, in the words of real servers."""

from __future__ import annotations

import pytest

from agents.models.sizes import Sizes, in_message, short_by


@pytest.mark.parametrize(
    ("message", "sizes"),
    [
        ("This model's maximum context length is 4096 tokens. However, you requested 4446 tokens "
         "(350 in the messages, 4096 in the completion). Please reduce the length of the messages "
         "or completion.", Sizes(4096, 350, fits=3746)),
        ("This endpoint's maximum context length is 131072 tokens. However, you requested about "
         "140000 tokens (100000 of text input, 8000 of tool input, 32000 in the output).",
         Sizes(131_072, 108_000, fits=23_072)),
        ("'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context "
         "length is 4096 tokens and your request has 350 input tokens (4096 > 4096 - 350).",
         Sizes(4096, 350, fits=3746)),
        ("This model's maximum context length is 4096 tokens. However, you requested 4096 output "
         "tokens and your prompt contains at least 350 input tokens, for a total of at least 4446 "
         "tokens.", Sizes(4096, 350, fits=3746)),
        ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
         Sizes(200_000, 190_000, fits=10_000)),
        ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 6000 "
         "`inputs` tokens and 4096 `max_new_tokens`", Sizes(8193, 6000, fits=2193)),
        ("maximum context length is 512 tokens. However, you requested 1234 tokens (1231 in the "
         "messages, 3 in the completion)", Sizes(512, 1231)),
        ("max_tokens is too large: 32768. This model supports at most 16384 completion tokens, "
         "whereas you provided 32768.", Sizes(output=16_384, fits=16_384)),
        ("max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for big",
         Sizes(output=8192, fits=8192)),
        ("`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is "
         "less than the `context_window` for this model", Sizes(output=8192, fits=8192)),
        ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
         Sizes(output=8192, fits=8192)),
        ("it has a maxOutputTokens value of 10000 but the supported range is from 1 (inclusive) to "
         "8193 (exclusive)", Sizes(output=8192, fits=8192)),
        ("max_tokens=4096 cannot be greater than max_model_len=512", Sizes(512)),
        ("Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 7000, "
         "please reduce your message size", Sizes(6000, per_minute=True)),
        ("Rate limit reached on tokens per minute (TPM): Limit 6000, Used 5000, Requested 1500.",
         Sizes()),
        ("maximum context length is 7 tokens", Sizes()),
        ("the model is loaded with context length of only 4096 tokens, which is not enough",
            Sizes(window=4096)),
        ("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
            Sizes(window=30720)),
        ("nothing of the kind", Sizes()),
    ],
)  # fmt: skip
def test_the_numbers_tell_what_is_too_large(message: str, sizes: Sizes) -> None:
    assert in_message(message) == sizes


def test_less_than_nothing_left_for_the_answer_says_by_how_much() -> None:
    assert short_by("max_tokens must be at least 1, got -350.") == 350
    assert short_by("max_tokens must be at least 1, got 0.") == 0
