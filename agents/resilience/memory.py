"""What a policy remembers of its profiles: standings that are kept, the rest for this process."""

from __future__ import annotations

from collections.abc import Iterable

from agents.base.profiles import ProfileState
from agents.models.profile import Profile
from agents.resilience.longest import Longest
from agents.resilience.signs import Signs
from agents.resilience.standings import Standings
from agents.resilience.suspicion import Suspicions


class Memory:
    """Where failures and answers are written down."""

    def __init__(self, profiles: Iterable[Profile], state: ProfileState) -> None:
        self.standings = Standings(profiles, state)
        self.suspicions = Suspicions()
        self.signs = Signs()
        self.longest = Longest()
