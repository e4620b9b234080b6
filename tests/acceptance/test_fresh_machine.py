"""From a clone to the first answer and to green tests, with nothing but Python, make and pip.

Needs the network or a mirror that pip is configured for, and minutes. The second time there is no
network at all: a network namespace of its own, where the system lets us have one.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = (
    *("make", "pip3", "sh", "awk", "mkdir", "touch", "rm", "find", "cat", "sleep", "kill"),
    *("bash", "env", "grep", "head", "ls", "sed", "seq", "sort", "tail", "timeout", "tr", "wc"),
)
"""Of the many things in a shell's path, what is used: by make, and by the examples of the docs."""
PATIENCE_S = 1500.0
PRIVATE = ("TURNGATE_", "LLM_", "OPENAI_", "WORKSPACE_", "VIRTUAL_ENV", "MAKE", "PYTEST_", "COV_")

RUN_AND_ASK = """
make run &
running=$!
until [ -s .turngate/gateway.json ]; do sleep 0.1; done
.venv/bin/turngate send --wait 600 'good morning'
code=$?
kill $running
wait $running
exit $code
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # everything is installed from nothing, and all tests run
]


@dataclass(frozen=True, slots=True)
class Machine:
    """A clone on a machine where nobody has worked before."""

    clone: Path
    environment: dict[str, str]

    def does(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with whatever network there is."""
        return subprocess.run(
            words,
            executable=shutil.which(words[0]),
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def does_offline(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The same where nothing but this machine can be reached."""
        unshare, ip = shutil.which("unshare"), shutil.which("ip")
        # Who is root has the right; as somebody else's root PostgreSQL could not leave root behind.
        rights = () if os.geteuid() == 0 else ("--map-current-user", "--keep-caps")
        alone = (unshare or "", *rights, "--net", "--")
        if ip is None or unshare is None or self.does(*alone, ip, "link").returncode:
            pytest.skip("this system has no network namespace for us")
        return self.does(*alone, "sh", "-c", f'{ip} link set lo up && exec "$@"', "sh", *words)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    folder = tmp_path_factory.mktemp("fresh")
    clone, tools = folder / "turngate", folder / "bin"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    tools.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    # The interpreter the environment was made from; a link into an environment would be one.
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PRIVATE)}
    return Machine(clone, {**kept, "PATH": str(tools), "TURNGATE_PORT": "0"})


@pytest.fixture
def listening(machine: Machine) -> Iterator[float]:
    """Seconds until `make run` listens; it runs for as long as the test."""
    began = time.monotonic()  # noqa: TID251 - a person would look at a watch
    with subprocess.Popen(
        ["make", "run"],
        cwd=machine.clone,
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            assert running.stdout is not None
            assert next((line for line in running.stdout if line.startswith("http://")), "")
            yield time.monotonic() - began  # noqa: TID251 - as above
        finally:
            os.killpg(running.pid, signal.SIGTERM)


def test_make_run_and_a_first_answer(machine: Machine, listening: float) -> None:
    began = time.monotonic()  # noqa: TID251 - as above
    turngate = str(machine.clone / ".venv" / "bin" / "turngate")
    said = machine.does(turngate, "send", "--wait", "600", "good morning")
    answered_s = listening + time.monotonic() - began  # noqa: TID251 - as above
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip(), said.stderr
    sys.stderr.write(
        f"\nlistening after {listening:.1f} s, first answer after {answered_s:.1f} s\n"
    )


def test_the_second_run_needs_no_network(machine: Machine) -> None:
    first = machine.does("make", "setup", "model")
    assert first.returncode == 0, first.stdout + first.stderr
    said = machine.does_offline("sh", "-c", RUN_AND_ASK)
    assert said.returncode == 0, said.stderr
    assert len(said.stdout.splitlines()) > 1, "its address and an answer"


def test_make_test_needs_no_network_once_everything_is_installed(machine: Machine) -> None:
    first = machine.does("make", "setup", "model")
    assert first.returncode == 0, first.stdout + first.stderr
    tested = machine.does_offline("make", "test")
    assert tested.returncode == 0, tested.stdout[-20_000:] + tested.stderr
    sys.stderr.write(f"\n{tested.stdout[-200:]}\n")
