"""Reading what an upstream says went wrong, whatever shape it says it in. Pure.

Providers answer with an object, with the `error` of one, with a list around one, with bare text or
with a web page, and put the wish to be left alone into any of three places. Called by model
clients; `classify` decides what it means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from agents.models.left import read_left

MAX_MESSAGE_CHARS = 2000
"""As much of an error message is looked at: some repeat the whole request behind it."""

MAX_RETRY_AFTER_MS = 24 * 3600 * 1000
"""Longest hint believed; a quota comes back within a day or not by waiting."""


WINDOWS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"maximum context length (?:is|of) ([\d,]+)",
        r"([\d,]+) maximum context length",
        r"context length is only ([\d,]+)",
        r"> ([\d,]+) maximum\b",
        r"maximum context length \(([\d,]+)\)",
        r"maximum prompt length is ([\d,]+)",
        r"maximum number of tokens(?: allowed)? \(?([\d,]+)",
        r"exceed context limit: [\d,]+ \+ [\d,]+ > ([\d,]+)",
        r"available context size \(([\d,]+)",
        r"context (?:window|length|size) of (?:only )?([\d,]+)",
        r"token limit:? ([\d,]+)",
    )
)
"""Where complaints say how much would have been taken; the first that is found."""

SMALLEST_WINDOW, LARGEST_WINDOW = 256, 100_000_000
"""What is no window of any model is not taken for one."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an upstream said went wrong. `codes` are its machine-readable words, most specific
    first and in lower case; `status` is None for an error inside a successful response."""

    status: int | None = None
    codes: tuple[str, ...] = ()
    message: str = ""
    retry_after_ms: int | None = None
    window: int = 0
    """How many tokens the server says it takes, where it complains of too many; 0 without one."""


def read_refusal(
    body: object,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    now_ms: int = 0,
) -> Refusal:
    """What an error body says, whatever its shape: an object, the `error` of one, a list around
    one, bare text. Only text that cannot be a page is taken as a message."""
    error = _unwrap(body)
    window = 0
    details: list[object] = []
    codes: list[str] = []
    message = ""
    if isinstance(error, str):
        message = "" if error.lstrip().startswith("<") else error
    elif isinstance(error, dict):
        codes = [
            str(value).strip().lower()
            for key in ("code", "type", "status")
            if isinstance(value := error.get(key), str | int) and not isinstance(value, bool)
        ]
        found = error.get("message") or error.get("detail")
        message = found if isinstance(found, str) else ""
        listed = error.get("details")
        details = listed if isinstance(listed, list) else []
        window = _plausible(error.get("n_ctx"))  # llama.cpp
        reasons = (d.get("reason") for d in details if isinstance(d, dict))
        codes += [reason.lower() for reason in reasons if isinstance(reason, str)]
    hint = retry_after_ms(headers or {}, now_ms=now_ms)
    if hint is None:
        hint = _retry_delay_ms(details)
    if hint is None and status == 429:
        hint = _empty_ms(headers or {}, now_ms=now_ms)
    return Refusal(
        status=status,
        codes=tuple(codes),
        message=message,
        retry_after_ms=hint,
        window=window or window_in(message),
    )


def window_in(message: str) -> int:
    """How many tokens a complaint says would be taken; 0 when it does not."""
    text = message[:MAX_MESSAGE_CHARS]
    found = next((match for pattern in WINDOWS if (match := pattern.search(text))), None)
    digits = found[1].replace(",", "") if found is not None else ""
    return _plausible(int(digits) if 0 < len(digits) < 10 else 0)


def _plausible(value: object) -> int:
    if isinstance(value, int) and SMALLEST_WINDOW <= value <= LARGEST_WINDOW:
        return value
    return 0


def _unwrap(body: object) -> object:
    for _ in range(3):  # list around object around error: no provider nests deeper
        if isinstance(body, list) and body:
            body = body[0]
        elif isinstance(body, dict) and body.get("error"):
            body = body["error"]
    return body


def retry_after_ms(headers: Mapping[str, str], *, now_ms: int) -> int | None:
    """The provider's wish to be left alone; None without one or when it is not understood."""
    exact = _number(headers.get("retry-after-ms", ""))
    if exact is not None:
        return _bounded(exact)
    value = headers.get("retry-after", "").strip()
    seconds = _number(value)
    if seconds is not None:
        return _bounded(seconds * 1000)
    try:
        at = parsedate_to_datetime(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)  # HTTP knows no other zone
        return _bounded(at.timestamp() * 1000 - now_ms)
    except (ValueError, OverflowError):
        return None


def _retry_delay_ms(details: list[object]) -> int | None:
    """Google's `RetryInfo`, which comes without a header: `{"retryDelay": "17.5s"}`."""
    for detail in details:
        delay = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            seconds = _number(delay[:-1])
            return None if seconds is None else _bounded(seconds * 1000)
    return None


def _empty_ms(headers: Mapping[str, str], *, now_ms: int) -> int | None:
    """Until the limit that is used up is there again, where the headers say so."""
    left = read_left(headers, now_ms=now_ms)
    if left is None:
        return None
    empty = [
        at_ms - now_ms
        for remaining, at_ms in (
            (left.requests, left.requests_at_ms),
            (left.tokens, left.tokens_at_ms),
        )
        if remaining == 0 and at_ms > now_ms
    ]
    return max(empty, default=None)


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*\d{1,12}(?:\.\d{1,6})?\s*", text, re.ASCII) else None


def _bounded(milliseconds: float) -> int:
    return round(min(max(milliseconds, 0), MAX_RETRY_AFTER_MS))
