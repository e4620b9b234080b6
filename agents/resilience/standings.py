"""What is known of every key and model: one record for all sessions, kept over restarts.

A failure of the whole key counts for each of its models. Changes go to the port at once and are
never waited for. Holds no opinion: pauses are `cooldown`'s, the order is `choosing`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from agents.base.profiles import HEALTHY, Kept, Learnt, ProfileState, Standing, Told
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
            key, there = (kept.profile, kept.model), kept.standing
            here = self._known.get(key, HEALTHY)
            fresh = there if _fresh_ms(there) > _fresh_ms(here) else here
            learnt = there.learnt if there.learnt.at_ms > here.learnt.at_ms else here.learnt
            if fresh is there or learnt is there.learnt:
                self._known[key] = replace(fresh, learnt=learnt)

    def of(self, profile: str, model: str) -> Standing:
        """How this model does at this key: the worse of what is known of both."""
        whole = self._known.get((profile, ANY_MODEL), HEALTHY)
        own = self._known.get((profile, model), HEALTHY)
        if not whole.failures:
            return own
        if own.until_ms > whole.until_ms:
            return replace(own, probed_ms=max(own.probed_ms, whole.probed_ms))
        return replace(whole, learnt=own.learnt)

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

    def learnt(self, profile: str, model: str) -> Learnt:
        """What is known of how this model is asked here."""
        return self._known.get((profile, model), HEALTHY).learnt

    def learn_window(self, profile: str, model: str, tokens: int, *, now_ms: int) -> None:
        """The server said how much it takes; only ever less than what was known."""
        before = self.learnt(profile, model)
        if tokens > 0 and (not before.window or tokens < before.window):
            self._learn(profile, model, replace(before, window=tokens), now_ms)

    def learn_output(self, profile: str, model: str, tokens: int, *, now_ms: int) -> None:
        """The server said how long an answer may be; only ever less than what was known."""
        before = self.learnt(profile, model)
        if tokens > 0 and (not before.output or tokens < before.output):
            self._learn(profile, model, replace(before, output=tokens), now_ms)

    def learn_lack(self, profile: str, model: str, member: str, *, now_ms: int) -> None:
        """The server refused this member of a request by name."""
        before = self.learnt(profile, model)
        lacks = tuple(sorted({*before.lacks, member}))
        self._learn(profile, model, replace(before, lacks=lacks), now_ms)

    def told(self, profile: str, told: Told, *, now_ms: int) -> None:
        """What the server says of itself replaces what was learnt of the same things."""
        before, takes = self.learnt(profile, told.model), dict(told.takes)
        lacks = {name for name in before.lacks if not takes.get(name)}
        lacks |= {name for name, takes_it in takes.items() if not takes_it}
        after = replace(
            before,
            window=told.window or before.window,
            slots=told.slots or before.slots,
            lacks=tuple(sorted(lacks)),
        )
        self._learn(profile, told.model, after, now_ms)

    def _learn(self, profile: str, model: str, after: Learnt, now_ms: int) -> None:
        key = (profile, model)
        before = self._known.get(key, HEALTHY)
        if replace(after, at_ms=before.learnt.at_ms) != before.learnt:
            self._set(key, before, replace(before, learnt=replace(after, at_ms=now_ms)))

    def clear(self, profile: str = "", *, now_ms: int) -> int:
        """Forget what is known of one profile, or of all; returns how many records that were."""
        keys = [key for key in self._known if profile in ("", key[0])]
        for key in keys:
            # Kept as news of now, so that other processes take it over.
            self._set(key, self._known[key], Standing(ok_ms=now_ms, learnt=Learnt(at_ms=now_ms)))
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
