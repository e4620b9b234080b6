"""Why did the upstream refuse? A pure decision from what it said, kept as data.

Error codes and types decide before any text does, and the status last; text is searched with
boundaries, and only in the provider's own error message, never in what a user or a model wrote.
What nobody knows is a `bad_request` for 4xx, which is not worth repeating, and `server` otherwise,
which is. Called by model clients only.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from agents.models.refusal import MAX_MESSAGE_CHARS, Refusal
from gateway.core.errors import ModelCategory

Status = int | None
"""None is an error inside a successful response."""


class Row(NamedTuple):
    """One thing a provider is known to say. `word` is a value of `code`, `type`, `status` or
    `reason`, in lower case, and leaves no doubt; `says` is a pattern in the message, believed at
    these `statuses`; a row with neither is a bare status, of any host or of this `host`."""

    provider: str
    category: ModelCategory
    word: str = ""
    says: str = ""
    statuses: tuple[Status, ...] = ()
    host: str = ""


ANY = "any"
_MAY_OVERFLOW: tuple[Status, ...] = (400, 413, 422, 500, None)


def _words(provider: str, category: ModelCategory, *words: str) -> tuple[Row, ...]:
    return tuple(Row(provider, category, word) for word in words)


def _overflow(provider: str, *patterns: str) -> tuple[Row, ...]:
    return tuple(
        Row(provider, "overflow", says=pattern, statuses=_MAY_OVERFLOW) for pattern in patterns
    )


def _said(provider: str, category: ModelCategory, says: str, *statuses: Status) -> Row:
    return Row(provider, category, says=says, statuses=statuses)


def _status(provider: str, category: ModelCategory, *statuses: Status, host: str = "") -> Row:
    return Row(provider, category, statuses=statuses, host=host)


ROWS: tuple[Row, ...] = (
    # --- by a word of the provider ---
    *_words("OpenAI", "overflow", "context_length_exceeded"),
    *_words("Anthropic", "overflow", "model_context_window_exceeded"),
    *_words("llama.cpp", "overflow", "exceed_context_size_error"),
    *_words(ANY, "overflow", "context_window_exceeded"),
    *_words(
        "OpenAI",
        "quota",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "organization_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "project_spend_limit_exceeded",
    ),
    *_words("Anthropic", "quota", "billing_error"),
    *_words(ANY, "quota", "insufficient_balance", "payment_required"),
    *_words("OpenAI", "rate", "rate_limit_exceeded", "slow_down"),
    *_words("Anthropic", "rate", "rate_limit_error"),
    *_words("Google", "rate", "resource_exhausted"),
    *_words("Mistral", "rate", "1300", "rate_limited"),
    *_words(ANY, "rate", "too_many_requests"),
    *_words("OpenAI", "auth", "account_deactivated", "invalid_api_key"),
    *_words("Anthropic", "auth", "authentication_error", "permission_error"),
    *_words("Google", "auth", "api_key_invalid", "permission_denied", "unauthenticated"),
    *_words("OpenAI", "not_found", "model_not_found"),
    *_words("Azure", "not_found", "deploymentnotfound"),
    *_words("Anthropic", "not_found", "not_found_error"),
    *_words("Anthropic", "overloaded", "overloaded_error"),
    *_words("Google", "overloaded", "unavailable"),
    *_words("Groq", "overloaded", "capacity_exceeded"),
    *_words("Kimi", "overloaded", "engine_overloaded", "engine_overloaded_error"),
    *_words(ANY, "overloaded", "overloaded", "server_overloaded", "service_unavailable"),
    *_words("OpenAI", "filtered", "content_policy_violation"),
    *_words("Azure", "filtered", "content_filter", "responsibleaipolicyviolation"),
    *_words("Anthropic", "too_large", "request_too_large"),
    *_words("Anthropic", "timeout", "timeout_error"),
    *_words("Google", "timeout", "deadline_exceeded"),
    *_words(ANY, "timeout", "request_timeout", "timeout"),
    *_words("OpenAI", "server", "server_error"),
    *_words("Anthropic", "server", "api_error"),
    *_words("Google", "server", "internal"),
    *_words(ANY, "server", "internal_server_error"),
    # --- by what the message says ---
    *_overflow("OpenAI", r"\bmaximum context length\b"),
    *_overflow(ANY, r"\bexceeds? (?:the )?(?:\S+ ){0,3}context (?:length|window|size|limit)\b"),
    *_overflow("Anthropic", r"\bprompt is too long\b"),
    *_overflow("vLLM", r"\bcontext length is only \d+"),
    *_overflow("LM Studio", r"\bgreater than the context length\b"),
    *_overflow("Groq", r"\breduce the length of the (?:messages|prompt|input)\b"),
    *_overflow("Google", r"\binput token count\b.*\bexceeds\b"),
    *_overflow("xAI", r"\bmaximum prompt length is \d+"),
    *_overflow("Kimi", r"\bexceeded model token limit\b"),
    *_overflow("MiniMax", r"\bcontext window exceeds limit\b"),
    *_overflow("Bedrock", r"\binput is too long for requested model\b"),
    _said("OpenAI", "quota", r"\bexceeded your current quota\b", 400, 403, 429, None),
    _said("DeepSeek", "quota", r"\binsufficient (?:balance|credits?|funds)\b", 400, 403, 429, None),
    _said(
        "Anthropic",
        "quota",
        r"\bcredit balance is too low\b|\bspend(?:ing)? limit\b",
        *(400, 403, 429, None),
    ),
    _said("Google", "auth", r"\bapi[ _-]?key (?:is )?(?:not valid|invalid|expired)\b", 400, None),
    _said(
        "Azure", "filtered", r"\bcontent (?:management )?policy\b|\bcontent filter", 400, 403, None
    ),
    _said("OpenRouter", "filtered", r"\bmoderation\b", 400, 403, None),
    _said("OpenRouter", "overloaded", r"\bprovider returned error\b", 502),
    _said(ANY, "overloaded", r"\boverloaded\b", 500, None),
    _said(ANY, "rate", r"\brate[ _-]?limit|\btoo many requests\b", None),
    # --- by nothing but the status ---
    _status("Cerebras", "overflow", 400, 413, host="cerebras.ai"),
    _status(ANY, "auth", 401, 403),
    _status(ANY, "quota", 402),
    _status(ANY, "not_found", 404),
    _status(ANY, "timeout", 408, 504),
    _status(ANY, "too_large", 413),
    _status(ANY, "rate", 429),
    _status("Groq", "overloaded", 498),
    _status("Anthropic", "overloaded", 529),
    _status("Cloudflare", "timeout", 522, 524),
    _status(ANY, "overloaded", 503),
)

REDIRECTED = Row(ANY, "not_found")
"""Redirects are not followed: the address is wrong."""
OUR_FAULT = Row(ANY, "bad_request")
"""Any other 4xx."""
THEIR_FAULT = Row(ANY, "server")
"""Everything else."""

RATE_WORDS = re.compile(
    r"\brate[ _-]?limit|\bquota\b|\btokens? per (?:minute|min|day|hour)\b|\b(?:TPM|RPM|TPD|RPD)\b",
    re.IGNORECASE,
)
"""A limit per minute speaks of tokens and lengths too; with these words it is no overflow."""

_BY_WORD = {row.word: row for row in ROWS if row.word}
_BY_TEXT = [(re.compile(row.says, re.IGNORECASE), row) for row in ROWS if row.says]
_BY_STATUS = {
    (row.host, status): row
    for row in ROWS
    if not row.word and not row.says
    for status in row.statuses
}
_HOSTS = {host for host, _ in _BY_STATUS if host}


def classify(refusal: Refusal, *, host: str = "") -> ModelCategory:
    """The category that says what to do about it; `host` is who says it."""
    return row_of(refusal, host=host).category


def row_of(refusal: Refusal, *, host: str = "") -> Row:
    """What decides: a word, else a text, else the status. Words that only say that something broke
    come behind the text, which may say what."""
    words = [_BY_WORD[code] for code in refusal.codes if code in _BY_WORD]
    telling = next((row for row in words if row.category != "server"), None)
    if telling is not None:
        return telling
    status = refusal.status if refusal.status is not None else _status_in(refusal.codes)
    message = refusal.message[:MAX_MESSAGE_CHARS]
    of_rates = RATE_WORDS.search(message) is not None
    for pattern, row in _BY_TEXT:
        vetoed = of_rates and row.category == "overflow"
        if status in row.statuses and not vetoed and pattern.search(message):
            return row
    if words:
        return words[0]
    if not refusal.message and not refusal.codes:
        for name in _HOSTS:
            if f".{host}".endswith(f".{name}") and (name, status) in _BY_STATUS:
                return _BY_STATUS[name, status]
    return _BY_STATUS.get(("", status)) or _unknown(status)


def _unknown(status: Status) -> Row:
    if status is not None and 300 <= status < 400:
        return REDIRECTED
    return OUR_FAULT if status is not None and 400 <= status < 500 else THEIR_FAULT


def _status_in(codes: tuple[str, ...]) -> Status:
    """An error inside a stream often carries the status it would have had as its code."""
    return next((int(c) for c in codes if re.fullmatch(r"[45]\d\d", c, re.ASCII)), None)
