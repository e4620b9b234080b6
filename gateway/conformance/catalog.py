"""Every check, in the order in which they run; a server conforms when all of them pass."""

from __future__ import annotations

from gateway.conformance import doors, examples, messages, work
from gateway.conformance.check import Check

CHECKS: tuple[Check, ...] = (
    *examples.CHECKS,
    *messages.CHECKS,
    *doors.CHECKS,
    *work.CHECKS,
)
