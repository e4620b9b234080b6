"""What a failure means for those who come later: which of profile, model and server rests. Pure.

The subject of a refusal decides. The key's and the account's fault rests the profile, the model's
and an admitted one of the server rests the model at that profile. A server failure without a reason
is weighed by `suspicion`. The request's own fault rests nothing and is not handled here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from agents.resilience import cooldown
from agents.resilience.choosing import Candidate
from agents.resilience.signs import Signs
from agents.resilience.standings import Standings
from agents.resilience.suspicion import Suspicions
from gateway.core.errors import ModelFailed

Consequence = Literal["rests", "nothing", "request"]
"""Something rests, at least for this session; the failure says nothing; the request is at fault."""


class Books(Protocol):
    """Where failures are written down."""

    standings: Standings
    suspicions: Suspicions
    signs: Signs


@dataclass(frozen=True, slots=True)
class Failed:
    """A request that failed: of which session, sent when, and whether not one byte came back.
    `alone`: there was no other candidate."""

    candidate: Candidate
    error: ModelFailed
    session: str
    began_ms: int
    now_ms: int
    silent: bool = False
    alone: bool = False


def of_failure(books: Books, failed: Failed) -> Consequence:
    """Write down what a failure means that is not certainly the request's own."""
    error = failed.error
    if error.category not in cooldown.PAUSES_S:
        return "nothing"
    if _queued(books, failed):
        return "nothing"
    if error.blame.subject == "server" and not error.blame.certain:
        return of_suspicion(books, failed)
    _rest(books, failed)
    return "rests"


def of_crowding(books: Books, failed: Failed) -> bool:
    """Whether too many requests at a time may be why: it timed out in the server's queue, or met a
    limit that says no time."""
    unhinted = failed.error.category == "rate" and failed.error.retry_after_ms is None
    return unhinted or _queued(books, failed)


def of_suspicion(books: Books, failed: Failed) -> Consequence:
    """Weigh a failure without a reason: against the session, the server or the request."""
    key, error = failed.candidate.key, failed.error
    finding = books.suspicions.failed(
        key,
        failed.session,
        error.category,
        now_ms=failed.now_ms,
        began_ms=failed.began_ms,
        hint_ms=error.retry_after_ms,
    )
    if finding.against == "request":
        return "request"
    if finding.against == "server":
        for category, at_ms in finding.earlier:
            books.standings.failed(*key, category, subject="server", now_ms=at_ms)
        _rest(books, failed)
    return "rests"


def _queued(books: Books, failed: Failed) -> bool:
    """A timeout before the first byte while the same profile answered another request."""
    silent = failed.error.category == "timeout" and failed.silent
    return silent and books.signs.since(failed.candidate.profile.name, failed.began_ms)


def _rest(books: Books, failed: Failed) -> None:
    error = failed.error
    books.standings.failed(
        *failed.candidate.key,
        error.category,
        subject=error.blame.subject,
        now_ms=failed.now_ms,
        began_ms=failed.began_ms,
        hint_ms=error.retry_after_ms,
        alone=failed.alone,
    )
