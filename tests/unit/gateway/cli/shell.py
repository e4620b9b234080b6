"""Commands as child processes, and a gateway to speak to. Nothing outlives its test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.patience import PATIENCE_S


@dataclass(frozen=True, slots=True)
class Shell:
    """A home folder and how to run commands in it."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TURNGATE_HOME": str(self.home),
            "TURNGATE_MODEL": "scripted",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "WORKSPACE_DIR": str(self.folder / "workspace"),
            "PYTHONPATH": str(Path(__file__).resolve().parents[4]),
            **more,
        }

    def run(
        self, *words: str, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `turngate words…` to its end."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=self.folder,
            env=self.environment(**environment),
            check=False,
        )

    @contextmanager
    def started(self, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """`turngate words…` for the length of the block."""
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment(**environment),
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    @contextmanager
    def up(self, *words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A gateway that listens, and its address."""
        with self.started("up", "--port", "0", *words, **environment) as process:
            assert process.stdout is not None
            yield process, process.stdout.readline().strip()
