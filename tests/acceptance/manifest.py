"""What users were promised, as behaviours that a test here tries to break; gaps are data, too.

A test says which behaviours it shows with `@shows("id")`; `test_manifest` holds both against each
other. Promises: P1 accepted means durable, P2 one visible reply, P3 paid work is not repeated,
P4 declared effects, P5 order per session and none across, P6 never silence, P7 no stale locks,
P8 explainable, P10 bounded spend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])

PROMISES = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P10")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One sentence that holds, and the promise it belongs to."""

    promise: str
    sentence: str


BEHAVIOURS: dict[str, Behaviour] = {
    "accepted.survives": Behaviour(
        "P1", "An acknowledged message is answered although the process died right after."
    ),
    "accepted.unacknowledged": Behaviour(
        "P1", "A message that died before its acknowledgement is one message when sent again."
    ),
    "accepted.ends": Behaviour(
        "P1", "Whatever becomes of an accepted message, its sender can look up the one end it had."
    ),
    "accepted.read_back": Behaviour(
        "P1", "A message that was accepted is read back in frames that every client takes."
    ),
    "conversation.continues": Behaviour(
        "P1", "A conversation goes on after an abrupt stop with everything that was said in it."
    ),
    "reply.once": Behaviour(
        "P2", "A reply cut between sending and noting it is resent with its key and seen once."
    ),
    "reply.doubt": Behaviour(
        "P2", "Where a receiver cannot tell copies, such a reply is `unknown` and never resent."
    ),
    "reply.waits": Behaviour(
        "P2", "A reply that was durable and not sent leaves after the restart."
    ),
    "paid.model": Behaviour("P3", "A model call that was recorded is not made again."),
    "paid.tool": Behaviour("P3", "A tool that has finished does not run again, failed or not."),
    "task.resumes": Behaviour(
        "P3", "A task written from its page alone is killed half-way and goes on elsewhere."
    ),
    "task.operated": Behaviour(
        "P8", "Such a run is forked from a step, exported, pruned and imported as the page says."
    ),
    "effects.pure": Behaviour("P4", "A pure call cut by a crash is made again without asking."),
    "effects.idempotent": Behaviour(
        "P4", "An idempotent call cut by a crash is made again with the same key."
    ),
    "effects.unsafe": Behaviour(
        "P4", "An unsafe call cut by a crash waits for a decision instead of happening twice."
    ),
    "effects.ran": Behaviour(
        "P4", "Told that the call was made, the turn goes on with what it is told it returned."
    ),
    "effects.did_not_run": Behaviour(
        "P4", "Told that the call was not made, the turn makes it, once."
    ),
    "effects.nobody": Behaviour(
        "P4", "When nobody decides in time, the turn ends and says that nobody knows."
    ),
    "order.within": Behaviour("P5", "Messages of one conversation are answered in their order."),
    "order.across": Behaviour("P5", "Two conversations are answered side by side."),
    "order.stuck": Behaviour(
        "P5", "A destination that takes nothing delays neither other destinations nor any turn."
    ),
    "order.background": Behaviour(
        "P5", "Background work that fills its slots does not make a person wait."
    ),
    "silence.model": Behaviour(
        "P6", "A failing model ends in an honest sentence, and the session stays usable."
    ),
    "silence.open": Behaviour(
        "P6", "A model that cannot even be made ready does not leave messages unanswered."
    ),
    "silence.agent": Behaviour(
        "P6", "An agent removed between acceptance and answer is told to the sender."
    ),
    "silence.stop": Behaviour(
        "P6", "A stopped turn keeps its partial text, marked for the sender and the transcript."
    ),
    "silence.busy": Behaviour(
        "P6", "A flood is accepted or refused message by message, and every one is accounted for."
    ),
    "silence.bounded": Behaviour(
        "P6", "Two hundred peers once each leave no lane, and no more sessions than are allowed."
    ),
    "silence.poison": Behaviour(
        "P6", "A turn that takes the process down each time ends with a sentence, not in a loop."
    ),
    "locks.restart": Behaviour(
        "P7", "After an abrupt stop the next start goes on at once; no lease has to run out."
    ),
    "locks.second": Behaviour(
        "P7", "A second process on the same file is refused, and changes nothing."
    ),
    "explain.route": Behaviour("P8", "The rule that won is kept with the message."),
    "explain.turn": Behaviour(
        "P8", "The log tells a turn's story in order, and its steps say what was tried."
    ),
    "spend.restart": Behaviour(
        "P10", "What a task used before an abrupt stop counts against its budget after it."
    ),
}

GAPS: dict[str, str] = {
    "P7": "a paused owner that wakes late: two processes cannot share a file",
    "P9": "safe by default: shown with the sockets it is about",
}
"""What is promised and cannot be tried here yet, and why."""


def shows(*behaviours: str) -> Callable[[Test], Test]:
    """Says which behaviours a test tries to break."""

    def mark(test: Test) -> Test:
        test.shows = behaviours  # type: ignore[attr-defined]  # read by test_manifest
        return test

    return mark
