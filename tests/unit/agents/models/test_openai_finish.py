"""Finish reasons of providers: an answer that broke off is never taken for a whole one."""

from __future__ import annotations

import pytest

from agents.models.openai_finish import WORDS, read_finish


def test_a_word_means_one_thing() -> None:
    words = [word for words in WORDS.values() for word in words]
    assert len(words) == len(set(words))
    assert all(read_finish(word) == finish for finish, words in WORDS.items() for word in words)


@pytest.mark.parametrize(
    ("word", "means"),
    [
        ("MAX_TOKENS", "length"),
        ("FINISH_REASON_SAFETY", "content_filter"),
        ("content-filter", "content_filter"),
        ("IMAGE_PROHIBITED_CONTENT", "content_filter"),
        ("output_blocked", "content_filter"),
        ("max_new_tokens", "length"),
        ("MALFORMED_FUNCTION_CALL", "broken"),
        ("TOO_MANY_TOOL_CALLS", "broken"),
        ("engine_overloaded", "broken"),
        ("upstream_timeout", "broken"),
        ("connection lost", "broken"),
        ("inference_failed", "broken"),
        ("tool-calls", "tool_calls"),
        ("something_new", "stop"),
        (" Stop ", "stop"),
        ("", "stop"),
    ],
)
def test_words_are_read_by_their_parts_where_they_are_new(word: str, means: str) -> None:
    assert read_finish(word) == means
