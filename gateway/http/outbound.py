"""What waits for a slow client: messages that must arrive, and previews that need not.

Pure: no loop, no socket. Order is kept, so a preview never overtakes the end it announces. A
preview that is still waiting takes in the next one of its key; when half of the room is taken,
previews are dropped, so that there is always room for what must arrive.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from gateway.wire.jsonrpc import notification

_OVERHEAD = 256
"""What a preview counts besides its text: a guess from above, it is encoded only when sent."""


class _Preview:
    """Previews of one key in one: their texts together where each continues the last.

    Otherwise the newest alone: its offset shows the client what it did not see.
    """

    __slots__ = ("_end", "_rest", "key", "method", "offset", "size", "texts")

    def __init__(self, key: str, method: str, params: dict[str, Any]) -> None:
        self.key = key
        self.method = method
        self.texts: list[str] = []
        self.size = 0
        self._start(params)

    def join(self, params: dict[str, Any]) -> None:
        text = params.get("text")
        if (
            isinstance(text, str)
            and self._end is not None
            and params.get("offset") == self._end
            and _rest(params) == self._rest
        ):
            self.texts.append(text)
            self._end += len(text)
            self.size += len(text)
        else:
            self._start(params)

    def frame(self) -> bytes:
        if self._end is None:
            return notification(self.method, self._rest)
        params = {**self._rest, "offset": self.offset, "text": "".join(self.texts)}
        return notification(self.method, params)

    def _start(self, params: dict[str, Any]) -> None:
        text, offset = params.get("text"), params.get("offset")
        self.offset = offset
        self._end: int | None = None
        if isinstance(text, str) and isinstance(offset, int):
            self.texts = [text]
            self._end = offset + len(text)
            self._rest = _rest(params)
        else:
            self.texts = []
            self._rest = params
        self.size = _OVERHEAD + sum(len(v) for v in params.values() if isinstance(v, str))


def _rest(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in ("text", "offset")}


class Outbound:
    """At most `max_frames` and `max_bytes`; one message larger than that fits when alone."""

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._items: deque[bytes | _Preview] = deque()
        self._previews: dict[str, _Preview] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def size(self) -> int:
        """Bytes that wait; for previews a guess from above."""
        return self._bytes

    def push(self, frame: bytes) -> bool:
        """Add a message that must arrive; False when there is no room."""
        if self._items and (
            len(self._items) >= self._max_frames or self._bytes + len(frame) > self._max_bytes
        ):
            return False
        self._items.append(frame)
        self._bytes += len(frame)
        return True

    def preview(self, key: str, method: str, params: dict[str, Any]) -> bool:
        """Add a preview, or join it with the waiting one of its key; False when it was dropped."""
        if self._bytes > self._max_bytes // 2:
            return False
        waiting = self._previews.get(key)
        if waiting is not None and waiting.method == method:
            self._bytes -= waiting.size
            waiting.join(params)
            self._bytes += waiting.size
            return True
        if len(self._items) >= self._max_frames // 2:
            return False
        item = _Preview(key, method, params)
        self._items.append(item)
        self._previews[key] = item
        self._bytes += item.size
        return True

    def take(self, max_bytes: int) -> list[bytes]:
        """The oldest messages, encoded, up to `max_bytes` but at least one if there is any."""
        taken: list[bytes] = []
        total = 0
        while self._items and total < max_bytes:
            item = self._items.popleft()
            if isinstance(item, _Preview):
                if self._previews.get(item.key) is item:
                    del self._previews[item.key]
                self._bytes -= item.size
                frame = item.frame()
            else:
                self._bytes -= len(item)
                frame = item
            taken.append(frame)
            total += len(frame)
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
        self._previews.clear()
        self._bytes = 0
