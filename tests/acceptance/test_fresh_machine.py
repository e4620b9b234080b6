"""From a clone to the first answer, with nothing but Python, make and what every shell has.

Needs the network or a mirror that pip is configured for, and a minute or two.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("make", "sh", "awk", "mkdir", "touch", "rm", "find", "cat")
PATIENCE_S = 840.0


@pytest.mark.slow
@pytest.mark.timeout(900)  # everything is installed from nothing
def test_make_run_and_a_first_answer(tmp_path: Path) -> None:
    clone, tools = tmp_path / "turngate", tmp_path / "bin"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None, name
        (tools / name).symlink_to(found)
    # The interpreter the environment was made from; a link into an environment would be one.
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    private = (
        "TURNGATE_",
        "LLM_",
        "OPENAI_",
        "WORKSPACE_",
        "VIRTUAL_ENV",
        "MAKE",
        "PYTEST_",
        "COV_",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    environment = {**kept, "PATH": str(tools), "TURNGATE_PORT": "0"}
    began = time.monotonic()  # noqa: TID251 - a person would look at a watch
    with subprocess.Popen(
        ["make", "run"],
        executable=str(tools / "make"),
        cwd=clone,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stdout is not None
            url = next((line for line in running.stdout if line.startswith("http://")), "")
            ready_s = time.monotonic() - began  # noqa: TID251 - as above
            assert url, "it ended before it listened"
            said = subprocess.run(
                [clone / ".venv" / "bin" / "turngate", "send", "--wait", "600", "good morning"],
                cwd=clone,
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
            answered_s = time.monotonic() - began  # noqa: TID251 - as above
        finally:
            os.killpg(running.pid, signal.SIGTERM)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip(), said.stderr
    sys.stderr.write(f"\nlistening after {ready_s:.1f} s, first answer after {answered_s:.1f} s\n")
