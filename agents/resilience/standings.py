"""What is known of every key and model: one record for all sessions, kept over restarts.

A failure of the whole key counts for each of its models. Changes go to the port at once and are
never waited for. Holds no opinion: pauses are `cooldown`'s, the order is `choosing`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from agents.base.profiles import HEALTHY, Kept, ProfileState, Standing
from agents.models.profile import Profile
from agents.resilience import cooldown
from gateway.core.errors import SUBJECTS, ModelCategory, Subject

ANY_MODEL = ""
"""In the place of a model: the whole key."""


class Standings:
    """The standings of these profiles."""

    def __init__(self, profiles: Iterable[Profile], state: ProfileState) -> None:
        self._fingerprints = {profile.name: profile.fingerprint for profile in profiles}
        self._state = state
        self._known: dict[tuple[str, str], Standing] = {}
        self.recovered = asyncio.Event()
        """Set, and replaced by a fresh one, whenever something that had failed answers."""

    async def load(self) -> None:
        """Take up what is kept; what is known here already and fresher stays."""
        for kept in await self._state.load():
            if self._fingerprints.get(kept.profile) != kept.fingerprint:
                continue  # another key or address by the same name
            here = self._known.get((kept.profile, kept.model), HEALTHY)
            if _fresh_ms(kept.standing) > _fresh_ms(here):
                self._known[kept.profile, kept.model] = kept.standing

    def of(self, profile: str, model: str) -> Standing:
        """How this model does at this key: the worse of what is known of both."""
        whole = self._known.get((profile, ANY_MODEL), HEALTHY)
        own = self._known.get((profile, model), HEALTHY)
        if not whole.failures:
            return own
        if own.until_ms > whole.until_ms:
            return replace(own, probed_ms=max(own.probed_ms, whole.probed_ms))
        return replace(whole, window=own.window)

    def all(self) -> dict[tuple[str, str], Standing]:
        """Everything known, by profile and model."""
        return dict(self._known)

    def failed(
        self,
        profile: str,
        model: str,
        category: ModelCategory,
        *,
        subject: Subject | None = None,
        now_ms: int,
        began_ms: int | None = None,
        hint_ms: int | None = None,
        alone: bool = False,
    ) -> None:
        """It gave no answer: what rests is the whole profile where the key or the account is at
        fault, else this model at it."""
        whole = (subject or SUBJECTS[category]) in ("key", "account")
        key = (profile, ANY_MODEL if whole else model)
        before = self._known.get(key, HEALTHY)
        after = cooldown.failed(
            before, category, now_ms=now_ms, began_ms=began_ms, hint_ms=hint_ms, alone=alone
        )
        self._set(key, before, after)

    def succeeded(self, profile: str, model: str, *, now_ms: int) -> None:
        """It answered; of a healthy one nothing is written down."""
        for key in ((profile, ANY_MODEL), (profile, model)):
            before = self._known.get(key, HEALTHY)
            if before.failures:
                self._set(key, before, cooldown.succeeded(before, now_ms=now_ms))
                self.recovered.set()
                self.recovered = asyncio.Event()

    def probed(self, profile: str, model: str, *, now_ms: int) -> None:
        """Somebody tries it although it failed last."""
        for key in ((profile, ANY_MODEL), (profile, model)):
            before = self._known.get(key, HEALTHY)
            if before.failures:
                self._known[key] = cooldown.probed(before, now_ms=now_ms)

    def learn_window(self, profile: str, model: str, tokens: int) -> None:
        """The server said how much it takes; only ever less than what was known."""
        before = self._known.get((profile, model), HEALTHY)
        if tokens > 0 and (not before.window or tokens < before.window):
            self._set((profile, model), before, replace(before, window=tokens))

    def clear(self, profile: str = "", *, now_ms: int) -> int:
        """Forget what is known of one profile, or of all; returns how many records that were."""
        keys = [key for key in self._known if profile in ("", key[0])]
        for key in keys:
            # Kept as news of now, so that other processes take it over.
            self._set(key, self._known[key], Standing(ok_ms=now_ms))
            del self._known[key]
        self.recovered.set()
        self.recovered = asyncio.Event()
        return len(keys)

    def _set(self, key: tuple[str, str], before: Standing, after: Standing) -> None:
        if after == before:
            return
        self._known[key] = after
        profile, model = key
        self._state.save(Kept(profile, self._fingerprints.get(profile, ""), model, after))


def _fresh_ms(standing: Standing) -> int:
    return max(standing.failed_ms, standing.ok_ms)
