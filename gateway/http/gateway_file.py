"""`gateway.json`: how commands on this machine find the running gateway."""

from __future__ import annotations

import json
import os
from pathlib import Path

from gateway.core import known_homes

NAME = "gateway.json"


def write(home: Path, url: str, pid: int, command: str) -> None:
    """Say where it listens, and which command runs it when that is not `up`.

    Readers see the old file or the new one, never half of it. The owner
    alone may read it: it invites to send a token to the address inside.
    """
    target = home / NAME
    draft = home / f".{NAME}.{pid}"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(
            {"url": url, "pid": pid} | ({} if command == "up" else {"command": command}), file
        )
        file.write("\n")
    draft.replace(target)
    known_homes.remember(home)


def remove(home: Path, pid: int) -> None:
    """Take it away, unless another gateway has written its own by now."""
    target = home / NAME
    try:
        written = json.loads(target.read_text("utf-8"))
    except (OSError, ValueError):
        return
    if isinstance(written, dict) and written.get("pid") == pid:
        target.unlink(missing_ok=True)
