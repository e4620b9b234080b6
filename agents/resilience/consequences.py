"""What a failure means for those who come later: which of profile, model and server rests. Pure.

The subject of a refusal decides. The key's and the account's fault rests the profile, the model's
and an admitted one of the server rests the model at that profile. A server failure without a reason
is weighed by `suspicion`. The request's own fault rests nothing and is not handled here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agents.resilience import cooldown
from agents.resilience.choosing import Candidate
from agents.resilience.key_state import KeyState
from gateway.core.errors import ModelFailed

Consequence = Literal["rests", "nothing", "request"]
"""Something rests, at least for this session; the failure says nothing; the request is at fault."""


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


def of_failure(keys: KeyState, failed: Failed) -> Consequence:
    """Write down what a failure means that is not certainly the request's own."""
    error = failed.error
    if error.category not in cooldown.PAUSES_S:
        return "nothing"
    if _queued(keys, failed):
        return "nothing"
    if error.blame.subject == "server" and not error.blame.certain:
        return of_suspicion(keys, failed)
    _rest(keys, failed)
    return "rests"


def of_crowding(keys: KeyState, failed: Failed) -> bool:
    """Whether too many requests at a time may be why: it timed out in the server's queue, or met a
    limit that says no time."""
    unhinted = failed.error.category == "rate" and failed.error.retry_after_ms is None
    return unhinted or _queued(keys, failed)


def of_suspicion(keys: KeyState, failed: Failed) -> Consequence:
    """Weigh a failure without a reason: against the session, the server or the request."""
    key, error = failed.candidate.key, failed.error
    finding = keys.suspicions.failed(
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
            keys.standings.failed(*key, category, subject="server", now_ms=at_ms)
        _rest(keys, failed)
    return "rests"


def _queued(keys: KeyState, failed: Failed) -> bool:
    """A timeout before the first byte while the same profile answered another request."""
    silent = failed.error.category == "timeout" and failed.silent
    return silent and keys.signs.since(failed.candidate.profile.name, failed.began_ms)


def _rest(keys: KeyState, failed: Failed) -> None:
    error = failed.error
    keys.standings.failed(
        *failed.candidate.key,
        error.category,
        subject=error.blame.subject,
        now_ms=failed.now_ms,
        began_ms=failed.began_ms,
        hint_ms=error.retry_after_ms,
        alone=failed.alone,
    )
