"""Live text between processes: who follows a turn at one sees what is said at another.

Best effort like all previews: what is durable comes through the log.
"""

from __future__ import annotations

from dataclasses import astuple

import orjson

from gateway.core.ids import TurnId
from gateway.events.log import EventLog
from gateway.events.previews import Preview, Previews
from gateway.store.base.shared import SharedStore

PREVIEW = "preview"
FORGET = "forget"


def relay(store: SharedStore, previews: Previews, log: EventLog) -> None:
    """Join this process's previews, and its memory of words, with those of the others."""

    def came_in(text: str) -> None:
        turn_id, *rest = orjson.loads(text)
        previews.show(Preview(TurnId(turn_id), *rest))

    previews.pass_on = lambda preview: store.say(PREVIEW, orjson.dumps(astuple(preview)).decode())
    log.pass_on = lambda: store.say(FORGET, "")
    store.hear(PREVIEW, came_in)
    store.hear(FORGET, lambda _: log.drop_remembered())
