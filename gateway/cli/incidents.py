"""Bugs of commands, written down: a traceback under an id, in a file of the user.

The file is for its owner alone and never grows past a bound; the arguments are left out, they may
hold a secret.
"""

from __future__ import annotations

import os
import platform
import tempfile
import traceback
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from gateway.core.clock import SystemClock
from gateway.core.ids import SystemIds
from gateway.core.state_folder import state_folder

FILE = "incidents.log"
MAX_BYTES = 256 * 1024
"""Some fifty tracebacks; past it the file begins anew and the former is kept once."""


def record(error: BaseException) -> tuple[str, Path | None]:
    """Write an error down: its id, and the file; None where none can be written."""
    clock = SystemClock()
    incident = SystemIds(clock).new("i")
    at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).isoformat(timespec="seconds")
    head = f"{at} {incident} turngate {version('turngate')} Python {platform.python_version()}\n"
    text = head + "".join(traceback.format_exception(error)) + "\n"
    return incident, _write(text.encode("utf-8", "backslashreplace"))


def _write(text: bytes) -> Path | None:
    try:
        folder = state_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / FILE
        if file.exists() and file.stat().st_size + len(text) > MAX_BYTES:
            file.replace(file.with_suffix(".old"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(file, flags, 0o600)
    except (OSError, RuntimeError):
        return _write_aside(text)
    with os.fdopen(descriptor, "wb") as out:
        out.write(text)
    return file


def _write_aside(text: bytes) -> Path | None:
    try:
        descriptor, name = tempfile.mkstemp(prefix="turngate-incident-", suffix=".log")
    except OSError:
        return None
    with os.fdopen(descriptor, "wb") as out:
        out.write(text)
    return Path(name)
