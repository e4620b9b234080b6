"""A package index on loopback: the files of a folder, and a newer release of every one of them.

Whatever resolves to the newest release takes the bait: it installs another version than the lock
names, or fails for want of a hash, and `asked` shows what it fetched.
"""

from __future__ import annotations

import html
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from packaging.utils import (
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version


@dataclass(frozen=True, slots=True)
class Index:
    """A served index: its address for pip, and the names of the files fetched so far."""

    url: str
    newer: frozenset[str]
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(files: Path) -> Iterator[Index]:
    """Serve the folder's wheels and sdists, each beside an empty wheel of the next major."""
    pages: dict[str, list[Path]] = {}
    bait = files.with_name(files.name + "-newer")
    bait.mkdir(exist_ok=True)
    for file in sorted(files.iterdir()):
        name, version = release(file)
        newer = empty_wheel(bait, name, f"{version.release[0] + 1}.0")
        pages.setdefault(name, []).extend((file, newer))
    asked: list[str] = []
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(pages, asked)) as server:
        thread = Thread(target=server.serve_forever, name="package-index")
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/simple/"
            yield Index(url, frozenset(path.name for path in bait.iterdir()), asked)
        finally:
            server.shutdown()
            thread.join()


def release(file: Path) -> tuple[str, Version]:
    """The normalised name and the version in a file's name."""
    if file.suffix == ".whl":
        name, version, _, _ = parse_wheel_filename(file.name)
    else:
        name, version = parse_sdist_filename(file.name)
    return name, version


def empty_wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel that installs nothing but its metadata."""
    stem = f"{name.replace('-', '_')}-{version}"
    file = folder / f"{stem}-py3-none-any.whl"
    members = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(file, "w") as archive:
        for member, text in members.items():
            archive.writestr(f"{stem}.dist-info/{member}", text)
        lines = [f"{stem}.dist-info/{member},,\n" for member in (*members, "RECORD")]
        archive.writestr(f"{stem}.dist-info/RECORD", "".join(lines))
    return file


def _handler(pages: dict[str, list[Path]], asked: list[str]) -> type[BaseHTTPRequestHandler]:
    by_name = {file.name: file for files in pages.values() for file in files}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            folder, _, name = self.path.strip("/").rpartition("/")
            if folder == "simple" and canonicalize_name(name) in pages:
                self._send("text/html", _page(pages[canonicalize_name(name)]))
            elif folder == "files" and name in by_name:
                asked.append(name)
                self._send("application/octet-stream", by_name[name].read_bytes())
            else:
                self.send_error(404)

        def _send(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _page(files: Sequence[Path]) -> bytes:
    links = (f'<a href="/files/{html.escape(file.name)}">{file.name}</a><br>' for file in files)
    return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode()
