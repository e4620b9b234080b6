"""How long a channel rests before it is started again: a pure rule.

Full jitter: the pause is anywhere up to a bound that doubles, so that channels a common cause took
down do not return in step.
"""

from __future__ import annotations

from gateway.core.ids import Chance

FIRST_S = 1.0
"""Bound of the first pause: what was cut by a hiccup of the network is soon back."""
LONGEST_S = 300.0
"""A refused token is asked about so often at most: platforms count logins by the day."""
SHORTEST_S = 0.5
"""Chance may say nothing at all, and a channel that fails at once would spin."""
STEADY_S = 60.0
"""A run that lasted so long was no failed start: the next pause is a first one again."""


def pause_s(failures: int, chance: Chance) -> float:
    """Seconds until the next start, after so many failures in a row (1 or more)."""
    bound = min(LONGEST_S, FIRST_S * 2.0 ** min(failures - 1, 16))  # above 16 only floats overflow
    return max(SHORTEST_S, chance.uniform(0, bound))
