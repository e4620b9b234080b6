"""Why an answer ended, in any provider's words. Pure.

Known words come first; a word never seen is read by its parts, because what broke off must not be
taken for whole. Called by `openai_answer`.
"""

from __future__ import annotations

import re
from typing import Literal

Finish = Literal["stop", "length", "tool_calls", "content_filter", "broken", "error"]
"""`broken` is an answer that the provider did not complete, `error` one that failed there."""

WORDS: dict[Finish, tuple[str, ...]] = {
    "stop": (
        *("stop", "end_turn", "end", "eos", "eos_token", "stop_sequence", "stop_token"),
        *("complete", "completed", "done", "finished", "success", "natural"),
    ),
    "length": (
        *("length", "max_tokens", "model_length", "max_length", "max_output_tokens"),
        *("max_completion_tokens", "model_context_window_exceeded", "error_limit"),
    ),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"),
    "content_filter": (
        *("content_filter", "content_filtered", "guardrail_intervened", "refusal"),  # Bedrock
        *("safety", "recitation", "blocklist", "prohibited_content", "spii", "language"),  # Gemini
        *("sensitive", "error_toxic", "moderation", "flagged"),  # GLM, Cohere
    ),
    "broken": (
        *("abort", "aborted", "cancelled", "canceled", "load", "other", "pause_turn"),
        *("network_error", "insufficient_system_resource"),  # GLM, DeepSeek
        *("malformed_function_call", "unexpected_tool_call", "malformed_response"),  # Gemini
    ),
    "error": ("error", "server_error", "internal_error"),
}

PARTS: tuple[tuple[Finish, str], ...] = (
    ("content_filter", "filter|safety|block|prohibit|sensitiv|moderat|polic|harm|toxic|guardrail"),
    ("length", "length|max_.*tokens|tokens?_limit|output_limit|context_window"),
    (
        "broken",
        "err(or)?$|error|fail|fault|abort|cancel|interrupt|time_?out|timed|insufficient|malformed"
        "|unexpected|invalid|overload|unavailable|disconnect|incomplete|truncat|network|resource"
        "|crash|exceed|missing|broke|kill|reset|lost|too_many|rate_limit|time_limit|quota|throttl",
    ),
    ("tool_calls", "tool|function"),
)
"""Parts of words, the most telling first."""

_KNOWN = {word: finish for finish, words in WORDS.items() for word in words}


def read_finish(word: str) -> Finish:
    """What the word means; `stop` for one that says nothing."""
    plain = re.sub(r"[^a-z0-9]+", "_", word.strip().lower()).strip("_")
    plain = plain.removeprefix("finish_reason_")  # Google's enumeration, written out
    if plain in _KNOWN:
        return _KNOWN[plain]
    return next((finish for finish, parts in PARTS if re.search(parts, plain)), "stop")
