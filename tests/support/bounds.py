"""How long a test may take, on any machine: processor time for itself, and a generous wall.

A bound in `timeout` of pyproject.toml or in a mark is what a test may take at rest. By the clock on
the wall it says nothing on a machine that runs twenty other things, so it is held against the
processor time of the test's own process. The wall clock only ends what hangs.
"""

from __future__ import annotations

import pytest

BOUND_S = pytest.StashKey[float]()
LOAD = 20
"""How much longer a test may take than at rest: the load the suite passes at."""
HANGS_S = 600.0
"""No test waits longer for nothing, unless its own bound is longer still."""


def declared(item: pytest.Item) -> float:
    """The bound of a test, from its closest mark or the configuration; 0 for none. Remembered."""
    mark = item.get_closest_marker("timeout")
    bound_s = mark.args[0] if mark and mark.args else item.config.getoption("--timeout")
    if bound_s is None:
        bound_s = item.config.getini("timeout")
    item.stash[BOUND_S] = float(bound_s or 0)
    return item.stash[BOUND_S]


def hangs_s(bound_s: float) -> float:
    """After how many seconds by the wall clock the test hangs."""
    return max(bound_s, min(LOAD * bound_s, HANGS_S))


def sentence(spent_s: float, bound_s: float) -> str:
    """What the author of a slow test should know."""
    return (
        f"took {spent_s:.1f} s of processor time, and may take {bound_s:g}:"
        " make it smaller, or say why it may in a timeout mark"
    )
