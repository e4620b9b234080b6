"""The text of what a step or a run came to, as it is kept: in its row, or apart when it is long.

A reference stands where the text would: reads put the text back, so no other module has to know.
"""

from __future__ import annotations

import hashlib

from gateway.core.errors import InvalidInput, StepResultTooLarge
from gateway.runs.canonical import Json, json_text
from gateway.store.base.catalog import Op
from gateway.store.base.steps import PutBlob

INLINE_BYTES = 256 << 10
"""Longest result in a row: pages of steps are read as a whole on every replay."""
MAX_RESULT_BYTES = 4 << 20
"""Largest result of a step or a run; one that needs more keeps a reference of its own instead."""


def kept(what: str, value: Json) -> tuple[str, tuple[Op, ...]]:
    """What the row holds, and the write that has to hold with it.

    Raises `InvalidInput` (not JSON) or `StepResultTooLarge`, naming `what`.
    """
    try:
        text = json_text(value)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: the result is not JSON: {error}") from error
    size = len(text.encode())
    if size > MAX_RESULT_BYTES:
        raise StepResultTooLarge(
            f"{what}: the result has {size} bytes, at most {MAX_RESULT_BYTES} are kept; "
            "keep a reference instead"
        )
    return apart(text) if size > INLINE_BYTES else (text, ())


def apart(text: str) -> tuple[str, tuple[Op, ...]]:
    """A reference for a text, and the write that keeps the text itself."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"blob:{digest}", (PutBlob(digest, text),)
