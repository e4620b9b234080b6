"""Removes secrets from what is about to be shown: by value, by shape, by the name they go under.

The last thing done to every log line. Also bounds it: values are cut, nesting and listings end, and
an object that fails when it is shown is named instead.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from itertools import islice
from typing import Any
from urllib.parse import quote, quote_plus

MIN_SECRET_CHARS = 6
"""A shorter secret would redact words that are none."""
MAX_VALUE_CHARS = 2048
"""Longest text a field keeps; its beginning says what it is."""
MAX_TRACE_CHARS = 8192
"""Longest traceback kept; its end says what happened."""
MAX_ITEMS = 50
"""Maximum number of items a listing shows."""
MAX_DEPTH = 6
"""Deepest nesting shown."""

MASK = "[redacted]"

# Shapes of secrets that may come from anywhere; what is matched is masked, but for group 1. Nothing
# is looked at once for each place it could begin at: strangers choose these texts and their length.
_SHAPES = tuple(
    re.compile(shape)
    for shape in (
        r"(?i)(\bbearer\s+)[\w.~+/=-]{8,}",
        r"(?i)(\bauthorization[\"']?\s*[:=]\s*[\"']?[a-z]+\s+)[^\s\"']+",
        r"()\b(?:sk|pk|rk|gsk|xai|xox[abprs])-[\w-]{8,}",
        r"()\b(?:gh[pousr]_|github_pat_|glpat-|hf_|AKIA|AIza)[\w-]{12,}",
        # JSON web tokens, with the whole word they begin in
        r"()(?<![\w-])(?=[\w-]*?\beyJ)[\w-]{9,}+\.[\w-]{6,}+\.[\w-]++",
        r"(://)[^/?#\s]+(?=@)",
        r"(?i)([?&#;](?:[\w-]*(?:token|key|secret|password|signature)|sig|code|auth)=)[^&#\s\"'<>]+",
        r"(?i)(\b(?:set-)?cookie\s*:\s*)[^\r\n]+",
        r"(?i)(\b(?:x-)?api[_-]?key\s*[:=]\s*[\"']?)[\w.~+/=-]{6,}",
    )
)
_NAMES = re.compile(
    r"(?i)(?:.*[_-])?(?:password|passwd|secret|token|api[_-]?key|authorization|cookie|credentials?)"
)


class Redactor:
    """A structlog processor; `secrets` are the values this process knows."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARS}
        self._needles = sorted({form for secret in known for form in _forms(secret)})

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        trace = event.pop("exception", None)
        shown: dict[str, Any] = self._members(event, MAX_DEPTH)
        if trace is not None:
            text = self._masked(str(trace))
            shown["exception"] = text if len(text) <= MAX_TRACE_CHARS else _end(text)
        return shown

    def clean(self, value: Any) -> Any:
        """The value as JSON could hold it, without secrets."""
        return self._clean(value, MAX_DEPTH)

    def text(self, text: str) -> str:
        """The text without secrets, cut to a bound."""
        text = self._masked(text)
        if len(text) > MAX_VALUE_CHARS:
            return f"{text[:MAX_VALUE_CHARS]}… ({len(text)} characters)"
        return text

    def _clean(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int):
            return int(value) if abs(value) < 2**64 else self.text(hex(value))
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        if isinstance(value, (Mapping, list, tuple, set, frozenset)) and depth == 0:
            return "…"
        if isinstance(value, Mapping):
            return self._members(value, depth)
        if isinstance(value, (list, tuple, set, frozenset)):
            items = [self._clean(item, depth - 1) for item in islice(value, MAX_ITEMS)]
            return items if len(value) <= MAX_ITEMS else [*items, f"… ({len(value)} items)"]
        return self.text(_shown(value))

    def _members(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for key, item in islice(value.items(), MAX_ITEMS):
            name = self.text(key if isinstance(key, str) else _shown(key))
            hidden = isinstance(item, str | bytes) and item and _NAMES.fullmatch(name)
            shown[name] = MASK if hidden else self._clean(item, depth - 1)
        if len(value) > MAX_ITEMS:
            shown["…"] = f"({len(value)} members)"
        return shown

    def _masked(self, text: str) -> str:
        spans = sorted(self._found(text))
        if spans:
            text = _without(text, spans)
        for shape in _SHAPES:
            text = shape.sub(rf"\g<1>{MASK}", text)
        return text

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Where a secret stands, overlapping ones included."""
        for needle in self._needles:
            at = text.find(needle)
            while at >= 0:
                yield at, at + len(needle)
                at = text.find(needle, at + 1)


def _forms(secret: str) -> set[str]:
    """How a secret looks inside of URLs, JSON, Python literals and basic authentication."""
    data = secret.encode(errors="surrogatepass")
    return {
        secret,
        quote(data, safe=""),
        quote_plus(data),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        repr(data)[2:-1],
        base64.b64encode(data).decode().rstrip("="),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
    }


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """The text with every run of overlapping spans replaced by one mask."""
    pieces: list[str] = []
    begin, end = spans[0]
    shown_to = 0
    for start, stop in spans[1:]:
        if start > end:
            pieces += (text[shown_to:begin], MASK)
            shown_to, begin = end, start
            end = stop
        else:
            end = max(end, stop)
    return "".join((*pieces, text[shown_to:begin], MASK, text[end:]))


def _shown(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001  # a boundary: whatever it is, the line is written
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _end(text: str) -> str:
    return f"({len(text)} characters) …{text[-MAX_TRACE_CHARS:]}"
