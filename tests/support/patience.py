"""How long tests wait for what must come: a bound that ends a hang, never one that measures.

A wait returns at the moment its condition holds, so a generous bound costs nothing, and a machine
that runs much else beside the tests fails none of them.
"""

from __future__ import annotations

PATIENCE_S = 60.0
"""For one condition; below the bound of a test, so that the wait that hangs is named."""
