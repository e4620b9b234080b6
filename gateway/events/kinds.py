"""The names of events; the same words on the wire, in the log and in the documentation."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Kind(StrEnum):
    """What an entry of the log says: its name, the members of `data` beside it, and what it means.

    `text` is what the entry's content says.
    """

    data: str
    meaning: str

    def __new__(cls, name: str, data: str = "", meaning: str = "") -> Self:
        kind = str.__new__(cls, name)
        kind._value_, kind.data, kind.meaning = name, data, meaning
        return kind

    INPUT_ACCEPTED = (
        "input.accepted",
        "channel, external_id",
        "A message is durable; `text` is what was said.",
    )
    INPUT_MERGED = "input.merged", "into", "It is answered together with the turn `into`."
    INPUT_EXPIRED = "input.expired", "", "Its time was over before a turn began."
    INPUT_CANCELLED = "input.cancelled", "", "It was cancelled before a turn began."
    TURN_STARTED = "turn.started", "inputs", "A turn begins; it answers so many messages."
    TURN_RESUMED = "turn.resumed", "epoch, recoveries", "It was interrupted and goes on."
    TURN_FAILED_OVER = (
        "turn.failed_over",
        "requests, category, profile, model",
        "A model call took so many requests, the first of which failed so; and who answered.",
    )
    TURN_COMPACTED = (
        "turn.compacted",
        "messages, tokens",
        "So many messages of a conversation that was so large became a summary.",
    )
    TURN_SHORTENED = (
        "turn.shortened",
        "rungs, tokens, left",
        "A conversation of so many tokens was sent as so few: old results of tools were `cleared`, "
        "long ones `cut`, the beginning `left_out`.",
    )
    TURN_WAITING = "turn.waiting", "reason", "It waits for an approval, a decision or a time."
    TURN_COMPLETED = "turn.completed", "delivery_key", "It ended; `text` is the answer."
    TURN_FAILED = (
        "turn.failed",
        "kind, delivery_key",
        "It failed; `text` is the message to the sender.",
    )
    TURN_CANCELLED = (
        "turn.cancelled",
        "delivery_key",
        "It was stopped; `text` is what there was by then.",
    )
    RUN_STARTED = "run.started", "task, by", "A run of a declared task is due; `turn_id` is its id."
    RUN_WAITING = "run.waiting", "task, reason", "It waits outside the process."
    RUN_ENDED = "run.ended", "task, status", "It ended; of a failure there is a `kind`."
    RUN_OPERATED = "run.operated", "action, by", "An operator had a hand in it."
    DELIVERY_SENT = "delivery.sent", "delivery_id, attempts", "The destination has it."
    DELIVERY_DEAD = "delivery.dead", "delivery_id, attempts, error", "It can never be delivered."
    DELIVERY_EXPIRED = "delivery.expired", "delivery_id, attempts, error", "Its time was over."
    DELIVERY_UNKNOWN = "delivery.unknown", "delivery_id, attempts, error", "It may have been shown."
