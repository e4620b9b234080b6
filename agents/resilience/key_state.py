"""The one owner of what is known of keys and models: how each does, what it takes, what is left.

The policy decides by it whom to ask, and a search reports to it what came of each request.
Standings are kept over restarts; each process learns everything else again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from agents.base.models import Left, ModelRequest
from agents.base.profiles import Learnt, LineUse, ProfileState, Standing
from agents.models.profile import Profile
from agents.resilience import abilities, cooldown, limiter, plain
from agents.resilience.abilities import Abilities
from agents.resilience.choosing import Candidate
from agents.resilience.limiter import Room
from agents.resilience.line import Line
from agents.resilience.longest import Longest
from agents.resilience.scale import Scale
from agents.resilience.signs import Signs
from agents.resilience.standings import Standings
from agents.resilience.suspicion import Suspicions


class KeyState:
    """What is known of these profiles and the models at them."""

    def __init__(self, profiles: Iterable[Profile], state: ProfileState) -> None:
        self.standings = Standings(profiles, state)
        self.suspicions = Suspicions()
        self.signs = Signs()
        self.longest = Longest()
        self.processes = 1
        """How many share the limits of these keys, this one included."""
        self._rooms: dict[tuple[str, str], Room] = {}
        self._lines: dict[str, Line] = {}
        self._scales: dict[str, Scale] = {}
        self._abilities: dict[tuple[str, str], tuple[Learnt, Abilities]] = {}
        """Worked out once for what was learnt."""

    def abilities(self, candidate: Candidate) -> Abilities:
        """What it takes: as the settings say, else as its server told or refused."""
        learnt = self.standings.learnt(*candidate.key)
        known = self._abilities.get(candidate.key)
        if known is None or known[0] is not learnt:
            known = self._abilities[candidate.key] = (
                learnt,
                abilities.of(candidate.profile, learnt),
            )
        return known[1]

    def scale(self, model: str) -> Scale:
        """How this model counts."""
        return self._scales.setdefault(model, Scale())

    def tokens(self, candidate: Candidate, request: ModelRequest) -> int:
        """How large the prompt is, as this model counts."""
        return round(request.guess * self.scale(candidate.model).ratio)

    def window_as_asked(self, candidate: Candidate, request: ModelRequest) -> int:
        """Its window for a whole request, of which it may be sent less."""
        able, ratio = self.abilities(candidate), self.scale(candidate.model).ratio
        return plain.window_as_asked(able.window, request, able, ratio)

    def line(self, candidate: Candidate) -> Line:
        """The line in front of its profile, bounded as is known now; several processes share."""
        line = self._lines.get(candidate.profile.name)
        if line is None:
            line = self._lines[candidate.profile.name] = Line()
        bound = self.abilities(candidate).simultaneous
        line.cap = max(bound // self.processes, 1) if bound else 0
        return line

    def lines(self) -> list[LineUse]:
        """The line in front of each profile that was asked."""
        return [
            LineUse(name, line.active, line.bound, line.waiting)
            for name, line in self._lines.items()
        ]

    def room(self, candidate: Candidate, now_ms: int) -> Room | None:
        """What is left of its limits, as its server said, else as they were declared."""
        room, profile = self._rooms.get(candidate.key), candidate.profile
        if room is None or room.over(now_ms):
            left = limiter.a_minute(
                profile.requests_a_minute, profile.tokens_a_minute, now_ms=now_ms
            )
            if left is not None:
                room = self._rooms[candidate.key] = Room(left, now_ms, declared=True)
        return room

    def standing(
        self,
        candidate: Candidate,
        *,
        now_ms: int,
        session: str = "",
        tokens: int = 1,
        background: bool = False,
    ) -> Standing:
        """How it does for this session; where its limits leave no room, as if it rested until they
        do."""
        standing, room = self.standings.of(*candidate.key), self.room(candidate, now_ms)
        own = self.suspicions.of(candidate.key, session)
        if own.until_ms > standing.until_ms:
            standing = replace(own, learnt=standing.learnt)
        if room is None:
            return standing
        until_ms = room.ready_ms(
            tokens, background=background, now_ms=now_ms, processes=self.processes
        )
        if until_ms <= max(now_ms, standing.until_ms):
            return standing
        return replace(
            standing,
            failures=max(standing.failures, 1),
            category="rate",
            # A person may look whether there is room all the same, but where the operator said it.
            # Background work does not: what is kept for people is there.
            failed_ms=now_ms - (0 if background or room.declared else cooldown.PROBE_MS),
            until_ms=until_ms,
        )

    def ready_ms(self, candidate: Candidate, now_ms: int) -> int:
        """When it may be asked; a time that has passed means now."""
        return cooldown.ready_ms(self.standing(candidate, now_ms=now_ms), now_ms=now_ms)

    def leaving(self, candidate: Candidate, tokens: int, now_ms: int) -> Room | None:
        """Count a request that is about to leave; returns what is left of its limits."""
        room = self.room(candidate, now_ms)
        if room is not None:
            room.begin(tokens)
        if self.standings.of(*candidate.key).failures:
            self.standings.probed(*candidate.key, now_ms=now_ms)
        return room

    def answered(
        self,
        candidate: Candidate,
        session: str,
        request: ModelRequest,
        *,
        now_ms: int,
        left: Left | None,
    ) -> None:
        """It answered this session, and said what is left of its limits if it does so."""
        self.standings.succeeded(*candidate.key, now_ms=now_ms)
        self.suspicions.answered(candidate.key, session)
        self.signs.answered(candidate.profile.name, now_ms)
        self.longest.answered(candidate.key, session, request.guess)
        if left is not None:
            self._rooms[candidate.key] = Room(left, now_ms)

    def clear(self, profile: str, *, now_ms: int) -> int:
        """End the pauses of one profile, or of all; returns how many records were forgotten."""
        for key in [key for key in self._rooms if profile in ("", key[0])]:
            del self._rooms[key]
        self.suspicions.forget(profile)
        return self.standings.clear(profile, now_ms=now_ms)
