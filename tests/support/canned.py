"""An HTTP server that gives one answer to everybody, on a port of its own, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Canned:
    """Where it listens and who asked."""

    port: int
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Path and Authorization header of each request."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def canned(
    body: bytes, *, status: int = 200, location: str = "", only: str = ""
) -> Iterator[Canned]:
    """Answers every request with this; with `only`, those of that path, and others with 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said.asked.append((self.path, self.headers.get("Authorization", "")))
            there = only in ("", self.path)
            self.send_response(status if there else 404)
            self.send_header("Content-Length", str(len(body) if there else 0))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body if there else b"")

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        said = Canned(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield said
        finally:
            server.shutdown()
            thread.join()
