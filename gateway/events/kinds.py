"""The names of events; the same words on the wire, in the log and in the documentation."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What an entry of the log says; `data` beside it holds only what the comment names."""

    INPUT_ACCEPTED = "input.accepted"
    """`channel`, `external_id`; the content is what was said."""
    INPUT_MERGED = "input.merged"
    """`into`: the turn that answers it."""
    INPUT_EXPIRED = "input.expired"
    INPUT_CANCELLED = "input.cancelled"
    TURN_STARTED = "turn.started"
    """`inputs`: how many messages it answers."""
    TURN_RESUMED = "turn.resumed"
    """`epoch`, `recoveries`: it was interrupted and goes on."""
    TURN_FAILED_OVER = "turn.failed_over"
    """`requests`, `category`: a model call took so many, the first of which failed so; `profile`
    and `model` answered."""
    TURN_COMPACTED = "turn.compacted"
    """`messages`, `tokens`: so many messages of a conversation so large became a summary."""
    TURN_WAITING = "turn.waiting"
    """`reason`: approval, decision or timer."""
    TURN_COMPLETED = "turn.completed"
    """`delivery_key`; the content is the answer."""
    TURN_FAILED = "turn.failed"
    """`kind`, `delivery_key`; the content is the sentence the sender got."""
    TURN_CANCELLED = "turn.cancelled"
    RUN_STARTED = "run.started"
    """`task`, `by`: a run of a declared task is due. Its id stands where a turn's would."""
    RUN_WAITING = "run.waiting"
    """`task`, `reason`: it waits outside the process."""
    RUN_ENDED = "run.ended"
    """`task`, `status`, and the `kind` of a failure."""
    RUN_OPERATED = "run.operated"
    """`action`, `by`, and what the action was about: an operator has had a hand in it."""
    DELIVERY_SENT = "delivery.sent"
    """`delivery_id`, `attempts`."""
    DELIVERY_DEAD = "delivery.dead"
    """`delivery_id`, `attempts`, `error`."""
    DELIVERY_EXPIRED = "delivery.expired"
    """`delivery_id`, `attempts`, `error`."""
    DELIVERY_UNKNOWN = "delivery.unknown"
    """`delivery_id`, `attempts`, `error`: it may have been shown; nobody resends it blindly."""
