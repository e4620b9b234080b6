"""How long a key is left alone after a failure. Pure; times are wall milliseconds.

What the provider asks for comes first. Without a wish the pause doubles with each failure in a row
and a success ends it. A pause only orders candidates: who may be asked when all are cooling is
decided by `choosing`.
"""

from __future__ import annotations

from dataclasses import replace

from agents.base.profiles import HEALTHY, Standing
from gateway.core.errors import ModelCategory

PAUSES_S: dict[ModelCategory, tuple[float, float]] = {
    "rate": (5, 120),
    "overloaded": (5, 120),
    "server": (5, 120),
    "timeout": (30, 300),
    "auth": (300, 3600),
    "not_found": (300, 3600),
    "quota": (300, 24 * 3600),
    # Only where another model answered what this one refused without a reason it is known for.
    "bad_request": (5, 120),
}
"""First and longest pause by category. What is not here says nothing about the key."""

ALONE_S = 2.0
"""First pause of a limited key when there is no other to turn to."""

PROBE_MS = 5000
"""Between two requests to see whether something that failed is back."""

LONGEST_MS = 24 * 3600 * 1000
"""The longest cooldown, also if a server asks for more."""


def failed(
    standing: Standing,
    category: ModelCategory,
    *,
    now_ms: int,
    began_ms: int | None = None,
    hint_ms: int | None = None,
    alone: bool = False,
) -> Standing:
    """The standing after a failure of a request sent at `began_ms`; `alone` when there is no other
    candidate. A request that was under way when another one failed tells of the same moment, so it
    does not double the pause."""
    if category not in PAUSES_S:
        return standing
    overlaps = began_ms is not None and standing.failures > 0 and began_ms < standing.failed_ms
    if overlaps and hint_ms is None:
        return standing
    # Twelve doublings pass the longest pause of all; more would only make huge numbers.
    count = min(standing.failures - overlaps, 12)
    first, most = PAUSES_S[category]
    own_ms = round(
        min((ALONE_S if alone and category == "rate" else first) * 2**count, most) * 1000
    )
    pause_ms = own_ms
    if hint_ms is not None:
        # A wish that was kept and did not help is not believed twice.
        pause_ms = max(hint_ms, own_ms // 2) if count else hint_ms
    return replace(
        standing,
        failures=standing.failures + (not overlaps),
        category=category,
        failed_ms=now_ms,
        until_ms=max(now_ms + min(pause_ms, LONGEST_MS), standing.until_ms if overlaps else 0),
    )


def succeeded(standing: Standing, *, now_ms: int) -> Standing:
    """The standing after an answer; what was learnt of the model stays."""
    return replace(HEALTHY, ok_ms=now_ms, learnt=standing.learnt)


def probed(standing: Standing, *, now_ms: int) -> Standing:
    """Somebody tries it although it failed last; others wait for what comes of that."""
    return replace(standing, probed_ms=now_ms)


def ready_ms(standing: Standing, *, now_ms: int) -> int:
    """When it may be asked; a time that has passed means now."""
    if not standing.failures or standing.failed_ms > now_ms:
        return 0  # healthy, or the clock was set back: nothing is known of the pause any more
    probe_until = standing.probed_ms + PROBE_MS if standing.probed_ms > standing.failed_ms else 0
    return max(standing.until_ms, probe_until if probe_until <= now_ms + PROBE_MS else 0)


def may_probe(standing: Standing, *, now_ms: int) -> bool:
    """Whether enough time has passed to see if it is back before its pause is over."""
    last = max(standing.failed_ms, standing.probed_ms)
    return last > now_ms or now_ms - last >= PROBE_MS
