"""One request in the forms its candidates can take, and in another form after a refusal. Pure.

A refusal that names what it does not take says how to ask again: without that member, or with a
smaller wish for output. The wish is clipped before the prompt is touched, because an answer that is
a little shorter costs less than words of the conversation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agents.base.models import ModelRequest
from agents.resilience import abilities, plain
from agents.resilience.abilities import Abilities
from agents.resilience.choosing import Candidate
from gateway.core.errors import ModelFailed

SURELY = 1.1
"""Times a guess, so that prompt and answer fit together although it was a little low."""
MAX_CLIPS = 2
"""Smaller wishes for output tried at one candidate: one by its numbers, one by ours."""
LEAST_OUTPUT, LEAST_SHARE = 64, 16
"""An answer of fewer tokens, or less than this part of the window, is no answer: then the prompt
has to become shorter."""
BLIND = "without these_images"
THOUGHTLESS = "without these_thoughts"


@dataclass(frozen=True, slots=True)
class Reworded:
    """Why the same candidate is asked again, and the member it lacks where that is news."""

    why: str
    lacks: str = ""


class Rewording:
    """A request, and what its candidates have said of it."""

    def __init__(self, request: ModelRequest, tokens: Callable[[Candidate], int]) -> None:
        self._request = request
        self._tokens = tokens
        self._blind: set[tuple[str, str]] = set()
        self._thoughtless: set[tuple[str, str]] = set()
        self._clipped: dict[tuple[str, str], list[int]] = {}

    def fitted(self, candidate: Candidate, able: Abilities) -> ModelRequest:
        """The request as this candidate can take it."""
        output, request = self._output(candidate, able), self._request
        if candidate.key in self._thoughtless:
            request = plain.thoughtless(request)
        fit = plain.fitted(
            request, able, candidate.model, output=output, profile=candidate.profile.name
        )
        return plain.blind(fit) if candidate.key in self._blind else fit

    def after(
        self, candidate: Candidate, able: Abilities, error: ModelFailed, sent: ModelRequest
    ) -> Reworded | None:
        """How to ask again, given what is known of the candidate now; None where there is no other
        form."""
        member = error.blame.member
        if error.blame.subject != "request":
            return None
        if member == "these_images":
            return self.blinded(candidate, sent)
        if member == "these_thoughts":
            return self.without_thoughts(candidate, sent)
        if member:
            can = abilities.can_learn(candidate.profile, able, member)
            news = can and plain.holds(sent, member, profile=candidate.profile.name)
            if member == "foreign_calls" and not news:  # it misses some of its own
                return self.without_thoughts(candidate, sent)
            return Reworded(f"without {member}", member) if news else None
        return self._clip(candidate, able, error, sent)

    def blinded(self, candidate: Candidate, sent: ModelRequest) -> Reworded | None:
        """With a line of text in the place of each picture."""
        if candidate.key in self._blind or not plain.holds_images(sent):
            return None
        self._blind.add(candidate.key)
        return Reworded(BLIND)

    def without_thoughts(self, candidate: Candidate, sent: ModelRequest) -> Reworded | None:
        """Without what its server sent beside earlier answers; if it takes no calls without that,
        it says so next."""
        if not plain.holds(sent, "thoughts", profile=candidate.profile.name):
            return None
        self._thoughtless.add(candidate.key)
        return Reworded(THOUGHTLESS)

    def _output(self, candidate: Candidate, able: Abilities) -> int:
        """Tokens the answer may have beside this prompt; some servers refuse both together."""
        bounds: list[int] = [self._request.max_tokens, *self._clipped.get(candidate.key, ())]
        if able.output:
            bounds.append(able.output)
        if able.window:
            left = able.window - round(SURELY * self._tokens(candidate))
            bounds.append(max(left, able.window // 4, 1))
        return min(bounds)

    def _clip(
        self, candidate: Candidate, able: Abilities, error: ModelFailed, sent: ModelRequest
    ) -> Reworded | None:
        clips, blame = self._clipped.setdefault(candidate.key, []), error.blame
        least = 1 if blame.output else max(LEAST_OUTPUT, able.window // LEAST_SHARE)
        fits = blame.fits or (sent.max_tokens - blame.short_by if blame.short_by else 0)
        if not fits and error.window and not blame.prompt >= error.window:
            fits = error.window - round(SURELY * self._tokens(candidate))
        if len(clips) >= MAX_CLIPS or not min(least, sent.max_tokens) <= fits < sent.max_tokens:
            return None
        clips.append(fits)
        return Reworded("shorter answer")
