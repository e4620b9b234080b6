"""Which failure ends a search: the one that says most about what to do next. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.base.profiles import Standing
from agents.resilience import cooldown
from agents.resilience.choosing import Candidate
from gateway.core.errors import ModelAttempt, ModelCategory, ModelFailed

OWN_FAULT = (
    "The model server fails on this request while it answers others; leave out what was sent last, "
    "or start a new conversation."
)


def refused(
    error: ModelFailed, window: int, guessed: int, attempts: tuple[ModelAttempt, ...]
) -> ModelFailed:
    """A refusal of the request itself, with the size of its prompt where the server counted more of
    it than we: some stop counting at their window."""
    counted = error.blame.prompt if error.category == "overflow" else 0
    return ModelFailed(
        error.category,
        str(error),
        window=window,
        tokens=counted if counted > guessed else 0,
        told=error.told,
        attempts=attempts,
        blame=error.blame,
    )


def own_fault(error: ModelFailed, attempts: tuple[ModelAttempt, ...]) -> ModelFailed:
    """A failure without a reason that only this request meets."""
    said = f"{error}, while it answers other sessions"
    return ModelFailed("bad_request", said, told=OWN_FAULT, attempts=attempts)


@dataclass(frozen=True, slots=True)
class Search:
    """What is known when no candidate is left. `small` are those whose window is too small, with
    it and the size of the prompt there; `back_ms` is how long until one may be asked again, 0
    where that is not known."""

    model: str
    able: Sequence[Candidate]
    small: Sequence[tuple[Candidate, int, int]]
    failures: Sequence[tuple[Candidate, ModelFailed]]
    attempts: tuple[ModelAttempt, ...]
    standing: Callable[[Candidate], Standing]
    now_ms: int
    patience_ms: int
    back_ms: int

    def ready_ms(self, one: Candidate) -> int:
        return cooldown.ready_ms(self.standing(one), now_ms=self.now_ms)


def failure_of(search: Search) -> ModelFailed:
    """Of those that come back, the failure of the soonest, because it says when."""
    shorter = [sizes for one, *sizes in search.small if _soon(search, one)]
    if shorter:
        window, tokens = max(shorter)
        said = f"the prompt has about {tokens} tokens and the model takes {window}"
        return ModelFailed("overflow", said, window=window, tokens=tokens, attempts=search.attempts)
    if not search.able:
        return ModelFailed("not_found", f"no profile serves {search.model!r}")
    if not search.failures:
        return _resting(search)
    _, told = min(search.failures, key=lambda pair: search.ready_ms(pair[0]))
    return ModelFailed(
        told.category,
        str(told),
        retry_after_ms=search.back_ms or told.retry_after_ms,
        told=told.told if len(search.able) == 1 else "",
        attempts=search.attempts,
        blame=told.blame,
    )


def _soon(search: Search, one: Candidate) -> bool:
    """Whether a shorter prompt is worth it: a model in a long cooldown would not answer that."""
    return not search.able or search.ready_ms(one) <= search.now_ms + search.patience_ms


def _resting(search: Search) -> ModelFailed:
    resting = min(search.able, key=lambda one: search.standing(one).until_ms)
    category = _category(search.standing(resting).category)
    return ModelFailed(
        category,
        f"every model is in a pause; {resting.model!r} of profile {resting.profile.name!r} after "
        f"{category}",
        retry_after_ms=search.back_ms or None,
    )


def _category(word: str) -> ModelCategory:
    return next((known for known in cooldown.PAUSES_S if known == word), "server")
