"""Puts a model server into a folder of its own, once: a virtual environment keyed by its pins."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 3000.0
"""llama.cpp is compiled, which takes ten minutes on two cores that do little else."""
FOREIGN = "import sys; from importlib.metadata import requires as r; print('\\n'.join(r({!r})))"


class NotInstalled(Exception):
    """What came in the way, in one sentence."""


@dataclass(frozen=True, slots=True)
class Pins:
    """What is installed: `packages` by name and version.

    `stubborn` names one more package that is installed without what it requires; of that, all is
    installed but `unneeded`, which its maker has in an index of their own.
    """

    packages: tuple[str, ...]
    stubborn: str = ""
    unneeded: tuple[str, ...] = ()

    @property
    def named(self) -> list[str]:
        """Each with its version."""
        return [*filter(None, (self.stubborn,)), *self.packages]


def installed(pins: Pins) -> Path:
    """The interpreter of a whole environment with these packages. Raises `NotInstalled`."""
    key = hashlib.sha256(repr((sys.version_info[:2], pins)).encode()).hexdigest()[:12]
    name = re.split(r"[=\[]", pins.named[0])[0]
    folder = Settings().cache / "servers" / f"{name}-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python, whole = folder / "bin" / "python", folder / "whole"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another checkout may be at it
        if not whole.exists():
            made = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)]
            subprocess.run(made, check=True)
            _pip(folder, pins.packages)
            if pins.stubborn:
                _pip(folder, (pins.stubborn,), "--no-deps")
                _pip(folder, _wanted(python, pins))
            whole.touch()
    return python


def _wanted(python: Path, pins: Pins) -> Sequence[str]:
    """What the stubborn package requires and can be had."""
    name = pins.stubborn.partition("==")[0]
    told = subprocess.run(
        [python, "-c", FOREIGN.format(name)], capture_output=True, text=True, check=True
    )
    return [
        *pins.packages,
        *(
            line
            for line in told.stdout.splitlines()
            if "extra ==" not in line and not line.startswith(pins.unneeded)
        ),
    ]


def _pip(folder: Path, packages: Sequence[str], *options: str) -> None:
    """Install; what goes wrong is one sentence, as it is for the Makefile."""
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
    pip += ["--disable-pip-version-check", "--no-input", "--progress-bar", "off", *options]
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "install.py", folder / "pip.log", *pip, *packages],
        env={**os.environ, "MAKEFLAGS": "-j1", "CMAKE_BUILD_PARALLEL_LEVEL": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        raise NotInstalled(done.stderr.strip())
