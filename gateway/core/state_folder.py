"""Where commands keep what belongs to a user rather than to a home: `turngate` below
`XDG_STATE_HOME` or `~/.local/state`."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """The folder, which need not be there. Raises `RuntimeError` for a user without a home."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "turngate"
