"""A scene for checks, in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.cli.doctor.check import Scene
from gateway.cli.target import Target
from gateway.settings.settings import Settings

NOW_S = 1_800_000_000.0


def scene(
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    target: Target | None = None,
    problems: tuple[str, ...] = (),
    online: bool = False,
    now_s: float = NOW_S,
    **settings: Any,
) -> Scene:
    """Settings default to a home and a workspace below the folder."""
    chosen = {
        "turngate_home": folder / "home",
        "workspace_dir": folder / "workspace",
        "turngate_port": 0,
        "turngate_cache": folder / "cache",
        "turngate_model": "auto",
        **settings,
    }
    return Scene(Settings(**chosen), problems, environ or {}, folder, now_s, target, online)
