"""Why did the upstream refuse? A pure decision from what it said, kept as data.

Status and error codes decide before any words do; words are searched with boundaries, and only in
the provider's own error message, never in what a user or a model wrote. What nobody knows is a
`bad_request` for 4xx, which is not worth repeating, and `server` otherwise, which is. Called by
model clients only.
"""

from __future__ import annotations

import re

from agents.models.refusal import MAX_MESSAGE_CHARS, Refusal
from gateway.core.errors import ModelCategory

CODES: dict[ModelCategory, frozenset[str]] = {
    "overflow": frozenset(
        {
            "context_length_exceeded",
            "context_window_exceeded",
            "exceed_context_size_error",
            "model_context_window_exceeded",
        }
    ),
    "quota": frozenset(
        {
            "billing_error",
            "billing_hard_limit_reached",
            "credit_balance_exhausted",
            "insufficient_balance",
            "insufficient_quota",
            "organization_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "payment_required",
            "project_spend_limit_exceeded",
        }
    ),
    "rate": frozenset(
        {
            "1300",  # Mistral
            "rate_limit_error",
            "rate_limit_exceeded",
            "rate_limited",
            "resource_exhausted",
            "slow_down",
            "too_many_requests",
        }
    ),
    "auth": frozenset(
        {
            "account_deactivated",
            "api_key_invalid",
            "authentication_error",
            "invalid_api_key",
            "permission_denied",
            "permission_error",
            "unauthenticated",
        }
    ),
    "not_found": frozenset({"deploymentnotfound", "model_not_found", "not_found_error"}),
    "overloaded": frozenset(
        {
            "capacity_exceeded",
            "engine_overloaded",
            "engine_overloaded_error",
            "overloaded",
            "overloaded_error",
            "server_overloaded",
            "service_unavailable",
            "unavailable",
        }
    ),
    "filtered": frozenset(
        {"content_filter", "content_policy_violation", "responsibleaipolicyviolation"}
    ),
    "too_large": frozenset({"request_too_large"}),
    "timeout": frozenset({"deadline_exceeded", "request_timeout", "timeout", "timeout_error"}),
    "server": frozenset({"api_error", "internal", "internal_server_error", "server_error"}),
}
"""Words in `code`, `type`, `status` and `reason` that leave no doubt."""

STATUSES: dict[int, ModelCategory] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate",
    498: "overloaded",  # Groq, capacity of the flex tier
    503: "overloaded",
    504: "timeout",
    522: "timeout",  # Cloudflare, connecting to the origin
    524: "timeout",  # Cloudflare, waiting for the origin
    529: "overloaded",  # Anthropic
}

RATE_WORDS = re.compile(
    r"\brate[ _-]?limit|\bquota\b|\btokens? per (?:minute|min|day|hour)\b|\b(?:TPM|RPM|TPD|RPD)\b",
    re.IGNORECASE,
)
"""A limit per minute speaks of tokens and lengths too; with these words it is no overflow."""

OVERFLOW = re.compile(
    "|".join(
        (
            r"\bmaximum context length\b",
            r"\bcontext length is only \d+",
            r"\bexceeds? (?:the )?(?:\S+ ){0,3}context (?:length|window|size|limit)\b",
            r"\bcontext window exceeds limit\b",
            r"\bavailable context size\b",
            r"\bgreater than the context length\b",
            r"\bprompt is too long\b",
            r"\binput token count\b.*\bexceeds\b",
            r"\bmaximum prompt length is \d+",
            r"\bexceeded model token limit\b",
            r"\binput is too long for requested model\b",
            r"\breduce the length of the (?:messages|prompt|input)\b",
        )
    ),
    re.IGNORECASE,
)

WORDS: tuple[tuple[frozenset[int | None], re.Pattern[str], ModelCategory], ...] = (
    (
        frozenset({400, 403, 429, None}),
        re.compile(
            r"\bexceeded your current quota\b|\binsufficient (?:balance|credits?|funds)\b"
            r"|\bcredit balance is too low\b|\bspend(?:ing)? limit\b",
            re.IGNORECASE,
        ),
        "quota",
    ),
    (
        frozenset({400, None}),
        re.compile(r"\bapi[ _-]?key (?:is )?(?:not valid|invalid|expired)\b", re.IGNORECASE),
        "auth",
    ),
    (
        frozenset({400, 403, None}),
        re.compile(
            r"\bcontent (?:management )?policy\b|\bcontent filter|\bmoderation\b", re.IGNORECASE
        ),
        "filtered",
    ),
    (frozenset({500, None}), re.compile(r"\boverloaded\b", re.IGNORECASE), "overloaded"),
    (
        frozenset({None}),
        re.compile(r"\brate[ _-]?limit|\btoo many requests\b", re.IGNORECASE),
        "rate",
    ),
)
"""Statuses for which a pattern in the message says more than the status; the first that fits."""

_OVERFLOW_STATUSES = frozenset({400, 413, 422, 500, None})


SILENT: tuple[tuple[str, frozenset[int], ModelCategory], ...] = (
    ("cerebras.ai", frozenset({400, 413}), "overflow"),
)
"""Hosts that say nothing but a status, and mean this by it."""


def classify(refusal: Refusal, *, host: str = "") -> ModelCategory:
    """The category that says what to do about it; `host` is who says it."""
    if not refusal.message and not refusal.codes:
        for suffix, meant, category in SILENT:
            if refusal.status in meant and f".{host}".endswith(f".{suffix}"):
                return category
    for code in refusal.codes:
        for category, words in CODES.items():
            if code in words:
                return category
    status = refusal.status if refusal.status is not None else _status_in(refusal.codes)
    message = refusal.message[:MAX_MESSAGE_CHARS]
    if status in _OVERFLOW_STATUSES and OVERFLOW.search(message) and not RATE_WORDS.search(message):
        return "overflow"
    for statuses, words_found, category in WORDS:
        if status in statuses and words_found.search(message):
            return category
    return _by_status(status)


def _by_status(status: int | None) -> ModelCategory:
    if status is None:
        return "server"
    if status in STATUSES:
        return STATUSES[status]
    if 300 <= status < 400:
        return "not_found"  # redirects are not followed: the address is wrong
    return "bad_request" if 400 <= status < 500 else "server"


def _status_in(codes: tuple[str, ...]) -> int | None:
    """An error inside a stream often carries the status it would have had as its code."""
    return next((int(c) for c in codes if re.fullmatch(r"[45]\d\d", c, re.ASCII)), None)
