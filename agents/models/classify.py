"""Whose fault is a refusal, and of what kind? A pure decision from what the server said.

Error codes and types decide before any text does, and the status last; text is searched with
boundaries, and only in the provider's own error message, never in what a user or a model wrote.
What the table does not know is uncertain: a 4xx probably the fault of the request, anything else
probably the server's. Called by model clients only.
"""

from __future__ import annotations

import re

from agents.models.refusal import MAX_MESSAGE_CHARS, Refusal
from agents.models.refusal_rows import (
    ABOVE_A_MINUTE,
    OUR_FAULT,
    REDIRECTED,
    ROWS,
    THEIR_FAULT,
    Row,
    Status,
)
from agents.models.sizes import short_by
from gateway.core.errors import Blame, ModelCategory

RATE_WORDS = re.compile(
    r"\brate[ _-]?limit|\bquota\b|\btokens? per (?:minute|min|day|hour)\b|\b(?:TPM|RPM|TPD|RPD)\b",
    re.IGNORECASE,
)
"""A limit per minute speaks of tokens and lengths too; with these words it is no overflow."""

REFUSING = re.compile(
    r"\b(?:un(?:supported|known|expected|recogni[sz]ed)|extra|not (?:supported|permitted|allowed"
    r"|recogni[sz]ed|implemented|valid|accepted)|does ?n[o']t support|deprecated|no such"
    r"|(?:invalid|additional) (?:parameter|argument|field|propert)\w*)",
    re.IGNORECASE,
)
"""Words that refuse a member of the request, rather than its value."""

VALUE_WORDS = re.compile(
    r"too (?:large|long|high|big|many)|greater than|less than|at (?:most|least)|range|exceed|>",
    re.IGNORECASE,
)
"""With these it is the value of the member that is refused."""

_BY_WORD = {row.word: row for row in ROWS if row.word}
_BY_TEXT = [(re.compile(row.says, re.IGNORECASE), row) for row in ROWS if row.says]
_BY_PARAM = [(re.compile(row.param), row) for row in ROWS if row.param]
_BY_STATUS = {
    (row.host, status): row
    for row in ROWS
    if not (row.word or row.says or row.param)
    for status in row.statuses
}
_HOSTS = {host for host, _ in _BY_STATUS if host}


def classify(refusal: Refusal, *, host: str = "") -> ModelCategory:
    """The category that says what to do about it; `host` is where it comes from."""
    return row_of(refusal, host=host).category


def blame(refusal: Refusal, row: Row) -> Blame:
    """Whose fault the refusal is, by the row that decided it, with the numbers it names."""
    sizes = refusal.sizes
    if row.subject != "request":
        return Blame(row.subject, row.certain)
    return Blame(
        "request",
        row.certain,
        row.member,
        sizes.prompt,
        sizes.output,
        sizes.fits,
        short_by(refusal.message[:MAX_MESSAGE_CHARS]),
    )


def row_of(refusal: Refusal, *, host: str = "") -> Row:
    """The row that decides: by a word, else by text, else by the member named, else by the status.
    Words that only say that something broke come behind the text, which may say what."""
    if refusal.sizes.per_minute:
        return ABOVE_A_MINUTE
    words = [_BY_WORD[code] for code in refusal.codes if code in _BY_WORD]
    telling = next((row for row in words if row.certain), None)
    if telling is not None:
        return telling
    status = refusal.status if refusal.status is not None else _status_in(refusal.codes)
    message = refusal.message[:MAX_MESSAGE_CHARS]
    decided = _by_text(message, status) or _by_member(refusal, message, status)
    if decided is not None:
        return decided
    if words:
        return words[0]
    if not refusal.message and not refusal.codes:
        for name in _HOSTS:
            if f".{host}".endswith(f".{name}") and (name, status) in _BY_STATUS:
                return _BY_STATUS[name, status]
    return _BY_STATUS.get(("", status)) or _unknown(status)


def _by_text(message: str, status: Status) -> Row | None:
    of_rates = RATE_WORDS.search(message) is not None
    for pattern, row in _BY_TEXT:
        vetoed = of_rates and row.category == "overflow"
        if status in row.statuses and not vetoed and pattern.search(message):
            return row
    return None


def _by_member(refusal: Refusal, message: str, status: Status) -> Row | None:
    """A member that is refused as such: named by `param`, or in the message beside the refusal."""
    said = f"{' '.join(refusal.codes)} {message}".replace("_", " ")
    if not REFUSING.search(said) or VALUE_WORDS.search(message):
        return None
    for pattern, row in _BY_PARAM:
        if status in row.statuses and refusal.param and pattern.fullmatch(refusal.param):
            return row
    quoted = (row for row in _members_in(message) if status in row.statuses)
    return next(quoted, None) if not refusal.param else None


def _members_in(message: str) -> list[Row]:
    """Rows of the members a message names, the first first: it says later what to use instead."""
    names = re.findall(r"[a-z]+(?:_[a-z]+)*", message)
    return [row for name in names for pattern, row in _BY_PARAM if pattern.fullmatch(name)]


def _unknown(status: Status) -> Row:
    if status is not None and 300 <= status < 400:
        return REDIRECTED
    return OUR_FAULT if status is not None and 400 <= status < 500 else THEIR_FAULT


def _status_in(codes: tuple[str, ...]) -> Status:
    """An error inside a stream often carries the status it would have had as its code."""
    return next((int(c) for c in codes if re.fullmatch(r"[45]\d\d", c, re.ASCII)), None)
