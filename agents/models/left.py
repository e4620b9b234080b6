"""What a provider says is left of its limits, from the headers of an answer. Pure.

The names are OpenAI's, which most compatible servers use; what is not understood is not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agents.base.models import Left

_DURATION = re.compile(
    r"(?:(\d{1,3})h)?(?:(\d{1,4})m(?!s))?(?:(\d{1,6}(?:\.\d+)?)s)?(?:(\d{1,9})ms)?"
)
_PREFIX = "x-ratelimit-"


def read_left(headers: Mapping[str, str], *, now_ms: int) -> Left | None:
    """What is left; None where nothing is said."""
    if f"{_PREFIX}remaining-requests" not in headers and (
        f"{_PREFIX}remaining-tokens" not in headers
    ):
        return None
    return Left(
        _count(headers, "remaining-requests"),
        _count(headers, "limit-requests"),
        now_ms + _milliseconds(headers.get(f"{_PREFIX}reset-requests", "")),
        _count(headers, "remaining-tokens"),
        _count(headers, "limit-tokens"),
        now_ms + _milliseconds(headers.get(f"{_PREFIX}reset-tokens", "")),
    )


def _count(headers: Mapping[str, str], name: str) -> int | None:
    value = headers.get(f"{_PREFIX}{name}", "").strip()
    return int(value) if re.fullmatch(r"\d{1,12}", value, re.ASCII) else None


def _milliseconds(text: str) -> int:
    """`6m0s`, `7.66s`, `20ms`; 0 for anything else."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return 0
    hours, minutes, seconds, thousandths = match.groups()
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)
    return min(round(total * 1000) + int(thousandths or 0), 3_600_000)
