"""The words of a content row: a message of the transcript, or a sentence of our own."""

from __future__ import annotations

import orjson

from agents.base import messages
from gateway.core.parts import Parts, Text


def words_of(body: str | None) -> Parts | None:
    """The parts that a person sees; None where there are none or they were deleted.

    Raises `InvalidInput` for a message that cannot be read.
    """
    if body is None:
        return None
    value = orjson.loads(body)
    if "role" not in value:
        return (Text(str(value["text"])),)
    said = messages.from_json(value)
    return said.parts if isinstance(said, messages.UserMessage) else (Text(said.text),)
