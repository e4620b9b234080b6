"""How many inputs a property is tried with: a share by default, ten times as many in `make slow`.

For those that take more than a moment each; the others keep the hundred of Hypothesis.
"""

from __future__ import annotations

import os

from hypothesis import settings

TIMES = int(os.environ.get("EXAMPLES_TIMES", "1"))


def examples(count: int) -> settings:
    """Without a deadline: a busy machine is no finding."""
    return settings(max_examples=count * TIMES, deadline=None)
