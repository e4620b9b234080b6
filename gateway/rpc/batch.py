"""The answers to one frame put together: one object, or an array that stays within a bound."""

from __future__ import annotations

from gateway.core.errors import TooLarge
from gateway.wire import jsonrpc
from gateway.wire.jsonrpc import Id

MAX_BATCH_BYTES = 4 << 20
"""Largest answer to a batch: the largest frame there is."""


class Answers:
    """Collects the answers to a frame's members."""

    def __init__(self, *, batch: bool) -> None:
        self._batch = batch
        self._frames: list[bytes] = []
        self._bytes = 0

    def add(self, id: Id, frame: bytes | None) -> None:
        """The answer to a member; one that does not fit any more is replaced by the reason."""
        if frame is None:
            return
        if self._batch and self._bytes + len(frame) > MAX_BATCH_BYTES:
            error = TooLarge(
                f"the answers to a batch have at most {MAX_BATCH_BYTES} bytes together; ask for "
                "this in a request of its own"
            )
            frame = jsonrpc.encode(jsonrpc.failure(id, jsonrpc.describe_error(error)))
        self._bytes += len(frame)
        self._frames.append(frame)

    def frame(self) -> bytes | None:
        """What to send; None when every member was a notification."""
        if self._batch:
            return jsonrpc.batch(self._frames)
        return self._frames[0] if self._frames else None
