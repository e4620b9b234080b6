"""What a model at a profile takes: by the settings, else as its server told or refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agents.base.models import Dialect
from agents.base.profiles import Learnt
from agents.models.profile import Profile

MEMBERS = (
    "foreign_calls",
    "images",
    "parallel_calls",
    "stream_options",
    "system",
    "temperature",
    "thoughts",
    "tools",
)
"""Parts of a request that a model can do without, or take in another form. `thoughts` are what its
server sent beside earlier answers; `foreign_calls` are calls without them, as other models made."""
LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
"""What servers call the output limit; where one is refused the other is used, then none."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """Numbers are tokens, 0 where not known, but for `simultaneous`: requests its server works on
    at once. `lacks` are the parts of a request that are left out or written in another way;
    `identity` is how many tokens of the system prompt it is told, 0 for all."""

    window: int = 0
    output: int = 0
    simultaneous: int = 0
    lacks: frozenset[str] = frozenset()
    limit_name: str = ""
    identity: int = 0

    def takes(self, member: str) -> bool:
        """Whether a request may hold this."""
        return member not in self.lacks

    @property
    def dialect(self) -> Dialect:
        """How the request is written."""
        return Dialect(self.limit_name, self.takes("stream_options"))

    @property
    def left_out(self) -> tuple[str, ...]:
        """What operators see of `lacks`, beside tools and images."""
        return tuple(sorted(self.lacks - {"tools", "images"}))


def of(profile: Profile, learnt: Learnt) -> Abilities:
    """What is known of one model at one profile; a setting wins over what was learnt."""
    lacks = frozenset(learnt.lacks) - profile.pinned | profile.lacks
    return Abilities(
        _least(profile.window, learnt.window),
        _least(profile.output, learnt.output),
        profile.simultaneous or learnt.slots,
        lacks,
        profile.limit_name or _limit_name(lacks),
        profile.identity,
    )


def can_learn(profile: Profile, able: Abilities, member: str) -> bool:
    """Whether a refusal of this member changes how the model is asked; not where a setting says
    that it takes it, or where it is left out already."""
    known = member in MEMBERS or (member in LIMIT_NAMES and not profile.limit_name)
    return known and able.takes(member) and member not in profile.pinned


def _limit_name(lacks: frozenset[str]) -> str:
    """The name that was not refused; empty where none was."""
    left = [name for name in LIMIT_NAMES if name not in lacks]
    if len(left) == len(LIMIT_NAMES):
        return ""
    return left[0] if left else "none"


def _least(said: int, learnt: int) -> int:
    return min(said, learnt) if said and learnt else said or learnt
