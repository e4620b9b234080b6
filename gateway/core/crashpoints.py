"""Places where a test may kill the process: one before and after each durable write.

`crashpoint(name)` is an empty function unless `TURNGATE_CRASHPOINT=<name>[:<n>]` was set when the
process started; then the n-th pass (first by default) ends the process with SIGKILL, as a power cut
or the kernel's memory killer would. `POINTS` is the catalogue the crash tests walk.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

POINTS: dict[str, str] = {
    "intake.before_commit": "an input is about to be accepted; it is not acknowledged yet",
    "intake.after_commit": "an input is durable; the acknowledgement has not left",
    "lane.before_claim": "a lane is about to claim its waiting inputs",
    "lane.after_claim": "inputs are assigned to a run that has not begun",
    "step.before_begin": "a step is about to be begun",
    "step.before_complete": "a step's work is done; its record is not written",
    "step.after_complete": "a step's record is durable; its result was not used yet",
    "turn.before_boundary": "the turn has its answer; nothing of the end is written",
    "turn.after_boundary": "transcript, outbox, events and run end are durable",
    "delivery.before_begin": "a delivery is about to be marked as being sent",
    "delivery.before_send": "a delivery is marked as being sent; nothing has left",
    "delivery.after_send": "the destination has the message; that is not recorded",
    "delivery.after_ack": "the delivery is marked as sent",
    "store.in_transaction": "a batch is executed and not committed",
    "store.after_commit": "a batch is committed; its callers are not answered",
}


def _off(name: str) -> None:
    """Nothing: crash points are disabled."""


def _armed(setting: str) -> Callable[[str], None]:
    wanted, _, count = setting.partition(":")
    if wanted not in POINTS:
        raise SystemExit(
            f"turngate: TURNGATE_CRASHPOINT={setting!r}: no such point; one of {', '.join(POINTS)}"
        )
    left = int(count or "1")

    def armed(name: str) -> None:
        nonlocal left
        if name == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return armed


_setting = os.environ.get("TURNGATE_CRASHPOINT", "")
crashpoint: Callable[[str], None] = _armed(_setting) if _setting else _off
