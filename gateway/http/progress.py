"""A transport with a stall timeout: it aborts a peer that takes nothing.

asyncio's own transports wait without end for a peer that stopped reading, and closing one waits
with them. Progress is measured by bytes that left the write buffer, never by pings: those queue
behind the bytes that do not move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from gateway.http.bounds import Deadlines

_LOOKS = 16
"""How often a deadline is divided: a stalled peer is found at most a sixteenth late."""

Bytes = bytes | bytearray | memoryview


class WatchedTransport(asyncio.Transport):
    """Wraps a transport; writing, closing and aborting go through here.

    `close` sends what is buffered, half-closes, reads on until the peer closes too and ends the
    socket after `linger_s` at the latest: a peer in the middle of sending would otherwise get a
    reset instead of the reason. The protocol must drop what arrives while `is_closing()`, and call
    `lost` from `connection_lost`.
    """

    def __init__(
        self,
        inner: asyncio.Transport,
        deadlines: Deadlines,
        loop: asyncio.AbstractEventLoop,
        on_stalled: Callable[[], None],
    ) -> None:
        super().__init__()
        self._inner = inner
        self._deadlines = deadlines
        self._loop = loop
        self._on_stalled = on_stalled
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._written = 0
        self._gone = 0
        self._moved_at = 0.0

    @property
    def moved_at(self) -> float:
        """Loop time at which the peer was last seen to take something that had to wait for it."""
        return self._moved_at

    # --- writing ---------------------------------------------------------------------------------

    def write(self, data: Bytes) -> None:
        """Send, or buffer what does not fit; the watch starts when something stays behind."""
        if self._closing or not data:
            return
        self._inner.write(data)
        self._written += len(data)
        if self._timer is None and self._inner.get_write_buffer_size():
            self._begin_watch()

    def writelines(self, list_of_data: Iterable[Bytes]) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        return self._inner.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._inner.set_write_buffer_limits(high, low)

    def _begin_watch(self) -> None:
        self._gone = self._written - self._inner.get_write_buffer_size()
        self._moved_at = self._loop.time()
        self._look_in(self._deadlines.progress_s / _LOOKS)

    def _look_in(self, delay: float) -> None:
        self._timer = self._loop.call_later(delay, self._look)

    def _look(self) -> None:
        self._timer = None
        left = self._inner.get_write_buffer_size()
        if left == 0:
            if self._closing:
                self._linger()
            return
        now = self._loop.time()
        gone = self._written - left
        if gone > self._gone:
            self._gone = gone
            self._moved_at = now
        elif now - self._moved_at >= self._deadlines.progress_s:
            self._on_stalled()
            self.abort()
            return
        self._look_in(self._deadlines.progress_s / _LOOKS)

    # --- the end ---------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing or self._inner.is_closing()

    def close(self) -> None:
        """See the class. Calling it again changes nothing."""
        if self.is_closing():
            return
        self._closing = True
        if self._inner.can_write_eof():
            try:
                self._inner.write_eof()
            except OSError:  # the peer has reset the connection, and nobody has noticed yet
                self.abort()
                return
            self.resume_reading()
        else:  # TLS closes with an exchange of its own
            self._inner.close()
        if self._timer is None:
            self._linger()

    def _linger(self) -> None:
        self._timer = self._loop.call_later(self._deadlines.linger_s, self._inner.abort)

    def abort(self) -> None:
        """End the socket now; what is buffered is lost."""
        self._closing = True
        self.lost()
        self._inner.abort()

    def lost(self) -> None:
        """The socket is gone: stop watching it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- the rest is the inner transport's -------------------------------------------------------

    def write_eof(self) -> None:
        self._inner.write_eof()

    def can_write_eof(self) -> bool:
        return self._inner.can_write_eof()

    # Some loops raise when a socket that is gone is to be read or not.

    def pause_reading(self) -> None:
        if not self.is_closing():
            self._inner.pause_reading()

    def resume_reading(self) -> None:
        if not self._inner.is_closing():
            self._inner.resume_reading()

    def is_reading(self) -> bool:
        return self._inner.is_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._inner.get_protocol()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)
