"""What a provider says is left of its limits, from the headers of an answer. Pure.

The names are OpenAI's, which most compatible servers use, or Anthropic's; what is not understood is
not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from agents.base.models import Left

_DURATION = re.compile(
    r"(?:(\d{1,3})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,6}(?:\.\d+)?)s)?(?:(\d{1,9})ms)?"
)
LONGEST_MS = 3_600_000
"""No limit of a minute or an hour is further away; what is further is the clock of somebody."""

NAMES = (
    ("x-ratelimit-{what}-requests", "x-ratelimit-{what}-tokens"),
    ("anthropic-ratelimit-requests-{what}", "anthropic-ratelimit-tokens-{what}"),
    ("anthropic-ratelimit-requests-{what}", "anthropic-ratelimit-input-tokens-{what}"),
)
"""Headers for requests and for tokens; `what` is `remaining`, `limit` or `reset`."""


def read_left(headers: Mapping[str, str], *, now_ms: int) -> Left | None:
    """What is left; None where nothing is said."""
    of_tokens = (names for names in NAMES if names[1].format(what="remaining") in headers)
    of_requests = (names for names in NAMES if names[0].format(what="remaining") in headers)
    names = next(of_tokens, None) or next(of_requests, None)
    if names is None:
        return None
    requests, tokens = names
    return Left(
        _count(headers, requests.format(what="remaining")),
        _count(headers, requests.format(what="limit")),
        _at_ms(headers.get(requests.format(what="reset"), ""), now_ms),
        _count(headers, tokens.format(what="remaining")),
        _count(headers, tokens.format(what="limit")),
        _at_ms(headers.get(tokens.format(what="reset"), ""), now_ms),
    )


def _count(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(name, "").strip()
    return int(value) if re.fullmatch(r"\d{1,12}", value, re.ASCII) else None


def _at_ms(text: str, now_ms: int) -> int:
    """A duration from now, or a date as Anthropic writes it; now for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now_ms + _milliseconds(text)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(round(at.timestamp() * 1000), now_ms), now_ms + LONGEST_MS)


def _milliseconds(text: str) -> int:
    """`6m0s`, `7.66s`, `20ms`; 0 for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return 0
    hours, minutes, seconds, thousandths = match.groups()
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    return min(round(total * 1000) + int(thousandths or 0), LONGEST_MS)
