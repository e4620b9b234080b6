"""How many tokens a model counts where we guess one, learnt from its provider's counts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

RISE, FALL = 0.2, 0.05
"""How much the newest count weighs: a prompt too large does harm, one too small does not."""
LEAST, MOST = 0.2, 5.0
"""A count further from the guess than this is not believed."""
DOUBTED = 0.75
"""A count below this share of the guess is held against the words of the prompt."""
SURE_AFTER = 2
"""Counts after which a guess is believed against the provider."""
CUT_SHARE, CUT_TOKENS = 0.6, 1000
"""A provider that counts less than this share, and this many fewer, may not have read all of it."""
CUT_LEAST = 512
"""No server reads less than this of a prompt; who counts less counts in another way."""
PLATEAU, GROWTH = 1.05, 1.5
"""It has not if it never counted more than this times as many, for prompts this much smaller."""


@dataclass(slots=True)
class Scale:
    """How one model's tokens relate to our guess, from what its provider counted."""

    ratio: float = 1.0
    counts: int = 0
    peak: tuple[int, int] = (0, 0)
    """The largest count there was, and the guess it was counted for."""

    def learn(self, guessed: int, counted: int, words: Callable[[], int] = lambda: 0) -> bool:
        """Take a count in; False when it shows that the prompt was not read to its end.

        `words` counts those of the prompt, and is asked only for a count that is low. No model has
        fewer tokens than words: a server that says so does not count its prompts, and what it said
        of shorter ones is no reason to send more either.
        """
        if guessed <= 0 or counted <= 0:
            return True  # the provider did not count
        if self._cut(guessed, counted):
            return False
        if counted < DOUBTED * guessed and counted < words():
            self.ratio = max(self.ratio, 1.0)
            return True
        sample = min(max(counted / guessed, LEAST), MOST)
        weight = RISE if sample > self.ratio else FALL
        self.ratio = sample if not self.counts else self.ratio + weight * (sample - self.ratio)
        self.counts += 1
        if counted > self.peak[0] * PLATEAU:
            self.peak = (counted, guessed)
        return True

    def _cut(self, guessed: int, counted: int) -> bool:
        expected = guessed * self.ratio
        peak, peak_guess = self.peak
        return (
            self.counts >= SURE_AFTER
            and counted >= CUT_LEAST
            and counted < CUT_SHARE * expected
            and expected - counted > CUT_TOKENS
            and counted <= PLATEAU * peak
            and guessed >= GROWTH * peak_guess
        )
