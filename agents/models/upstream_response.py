"""Parser of one HTTP/1.1 response: bytes in; status, headers, body and the state of the wire out.

Sans I/O, and used for one response only, so no byte of one response can become part of the next.
The grammar is llhttp's, in C. Called by `UpstreamConnection`.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_FRAMING = 128 * 1024
"""Longest stretch without a byte of body: the head, trailers, chunk extensions. Heads take 2 KiB,
and the largest read of the event loop must fit."""


class MalformedResponse(Exception):
    """The bytes received are not one HTTP/1.1 response; the message says where they break off."""


class UpstreamResponse:
    """A response while it arrives.

    `begun` once the head is complete, `whole` once the body is. `reusable` says whether nothing
    followed the end of a response with a body and the server keeps the connection open.
    """

    def __init__(self) -> None:
        self.status = 0
        self.version = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = False
        self.whole = False
        self._surplus = self._filled = False
        self._keep_alive = False
        self._until_eof = False
        self._pieces: list[bytes] = []
        self._last = b""
        self._framing = 0
        self._parser = HttpResponseParser(self)

    @property
    def reusable(self) -> bool:
        """Whether the response is complete, the last thing on the connection, and not empty.

        A server that failed behind its head ends the body and, a moment later, the connection.
        """
        return self.whole and self._filled and self._keep_alive and not self._surplus

    @property
    def pending(self) -> bool:
        """Whether `take` would return anything."""
        return bool(self._pieces)

    def feed(self, data: bytes) -> None:
        """Take in what arrived; raises `MalformedResponse` unless the response was whole before."""
        if self.whole:
            self._surplus = True
        else:
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._surplus = True
            if not self.whole:
                raise MalformedResponse(str(error)) from None
        if self.whole:
            self._surplus = self._surplus or not self._ends_with(data)
        elif self._framing > MAX_FRAMING:
            raise MalformedResponse(f"more than {MAX_FRAMING} bytes without a byte of body")

    def feed_eof(self) -> None:
        """The server closed its side; ends a body that has no length of its own."""
        if self._until_eof:
            self.whole = True

    def take(self) -> bytes:
        """The body received since the last call; empty when there is none."""
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        return data

    def _ends_with(self, data: bytes) -> bool:
        """Whether `data` ends where the response does; llhttp skips line breaks behind it."""
        if self._last:
            return data.endswith(self._last)
        return data.endswith(b"\n") and not data.endswith((b"\r\n\r\n\r\n", b"\n\n"))

    # --- called by the parser ---

    def on_message_begin(self) -> None:
        if self.whole:
            self._surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.begun:  # trailers carry nothing that is used here
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.whole:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self.headers.clear()  # `100 Continue`: the response itself follows
            return
        self.begun = True
        self.version = self._parser.get_http_version()
        told = {name.lower(): value.lower() for name, value in self.headers}
        chunked = b"chunked" in told.get(b"transfer-encoding", b"")
        self._until_eof = not chunked and b"content-length" not in told

    def on_body(self, body: bytes) -> None:
        if self.whole:
            return
        self._pieces.append(body)
        self._last = body
        self._filled = True
        self._framing = 0

    def on_chunk_header(self) -> None:
        self._last = b""

    def on_message_complete(self) -> None:
        if self.begun and not self.whole:
            self.whole = True
            self._keep_alive = self._parser.should_keep_alive()
