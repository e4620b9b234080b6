"""Parsing the error bodies of model servers, in all their shapes. Pure.

Providers answer with an object, with the `error` of one, with a list around one, with bare text or
with a web page, and put the wish to be left alone into any of three places. Called by model
clients; `classify` decides what it means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from agents.models.left import read_left
from agents.models.sizes import UNSAID, Sizes, in_message, plausible

MAX_MESSAGE_CHARS = 2000
"""As much of an error message is looked at: some repeat the whole request behind it."""

MAX_RELAYED_CHARS = 64_000
"""As much of a refusal quoted by a router is parsed; a longer one is cut and then unreadable."""

MAX_RETRY_AFTER_MS = 24 * 3600 * 1000
"""Longest hint believed; a quota comes back within a day or not by waiting."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an upstream said went wrong. `codes` are its machine-readable words, most specific
    first and in lower case; `param` is the member of the request it names, as a dotted path;
    `status` is None for an error inside a successful response."""

    status: int | None = None
    codes: tuple[str, ...] = ()
    message: str = ""
    retry_after_ms: int | None = None
    sizes: Sizes = UNSAID
    param: str = ""


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
    details: list[object] = []
    codes: list[str] = []
    message = param = ""
    sizes = UNSAID
    if isinstance(error, str):
        message = "" if error.lstrip().startswith("<") else error
    elif isinstance(error, dict):
        codes = [
            str(value).strip().lower()
            for key in ("code", "type", "status")
            if isinstance(value := error.get(key), str | int) and not isinstance(value, bool)
        ]
        found = error.get("message") or error.get("detail")
        message, param = found if isinstance(found, str) else "", _path(error.get("param"))
        if not message:
            message, param = _validated(found)
        listed = error.get("details")
        details = listed if isinstance(listed, list) else []
        sizes = Sizes(plausible(error.get("n_ctx")), _whole(error.get("n_prompt_tokens")))
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
        sizes=sizes if sizes.window else in_message(message[:MAX_MESSAGE_CHARS]),
        param=param,
    )


def _validated(found: object) -> tuple[str, str]:
    """The first of a list of problems as FastAPI sends it, in words, and the member it is about;
    Mistral wraps the same list once more."""
    if isinstance(found, dict):
        found = found.get("detail")
    problem = found[0] if isinstance(found, list) and found else None
    if not isinstance(problem, dict):
        return "", ""
    param, said = _path(problem.get("loc")), problem.get("msg")
    return (f"{param}: {said}" if isinstance(said, str) else ""), param


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _path(value: object) -> str:
    """A member of the request: a name, or a list of names below `body`."""
    if isinstance(value, str):
        return value
    names = value if isinstance(value, list) else []
    return ".".join(str(name) for name in names if name != "body" and isinstance(name, str | int))


def _unwrap(body: object) -> object:
    for _ in range(3):  # list around object around error: no provider nests deeper
        if isinstance(body, list) and body:
            body = body[0]
        elif isinstance(body, dict) and body.get("error"):
            body = body["error"]
    return _relayed(body) or body


def _relayed(error: object) -> object:
    """The refusal of the provider behind a router, which OpenRouter quotes as text."""
    metadata = error.get("metadata") if isinstance(error, dict) else None
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    if not isinstance(raw, str) or not raw.lstrip().startswith(("{", "[")):
        return None
    try:
        return _unwrap(json.loads(raw[:MAX_RELAYED_CHARS]))
    except (ValueError, RecursionError):
        return None


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
