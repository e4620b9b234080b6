"""A newcomer breaks the first setup in ten ways; each answer names the thing and the fix.

From outside, as processes: what is printed and the exit code is all a newcomer has. The way of
breaking is in the name of each test. No answer is a traceback.
"""

from __future__ import annotations

import os
import re
import resource
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.canned import canned

PATIENCE_S = 100.0
"""Longest a command may take on a machine that does other things; most need a second."""
pytestmark = pytest.mark.timeout(240)  # each command is a process, some start a gateway

UNAVAILABLE, CONFIG = 69, 78


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    def names(self, *words: str) -> None:
        """What went wrong and what to do is on stderr, without a traceback."""
        assert "Traceback" not in self.out + self.err
        missing = [word for word in words if word not in self.err]
        assert not missing, f"{missing} not in: {self.err}"


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody with a terminal in a folder that `turngate init` has filled."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "TURNGATE_PORT": "0",
            "TURNGATE_MODEL": "scripted",
            **more,
        }

    def types(self, *words: str, stdin: str = "", **more: str) -> Said:
        """Run `turngate words…` with more variables."""
        return self._run(words, stdin, more, room=True)

    def types_on_a_full_disk(self, *words: str) -> Said:
        """The same where no file may grow."""
        return self._run(words, "", {}, room=False)

    def _run(self, words: tuple[str, ...], stdin: str, more: dict[str, str], *, room: bool) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=self.folder,
            env=self.environment(**more),
            check=False,
            preexec_fn=None if room else _no_room,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def doctor(self, **more: str) -> dict[str, str]:
        """Levels by the name of the check, from what it prints for people."""
        said = self.types("doctor", **more)
        assert "Traceback" not in said.out + said.err
        found = re.findall(r"^(ok|warn|fail) +(\w+)", said.out, re.MULTILINE)
        return {name: level for level, name in found}


def _no_room() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    """The way that works, taken first."""
    it = Newcomer(tmp_path)
    assert it.types("init", "--yes").code == 0
    return it


@pytest.fixture
def port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield str(taken.getsockname()[1])


def test_what_init_writes_works(newcomer: Newcomer) -> None:
    """Or the ten below would prove nothing."""
    said = newcomer.types("chat", stdin="are you there?\n")
    assert (said.code, said.out) == (0, "You said: are you there?\n")
    assert "fail" not in newcomer.doctor().values()


def test_a_misspelt_key_in_the_file(newcomer: Newcomer) -> None:
    (newcomer.folder / "turngate.toml").write_text("turngate_prot = 9000\n")
    said = newcomer.types("up")
    assert said.code == CONFIG
    said.names("turngate_prot (turngate.toml)", "did you mean 'turngate_port'?")
    assert newcomer.doctor()["settings"] == "fail"


def test_a_value_of_the_wrong_kind(newcomer: Newcomer) -> None:
    said = newcomer.types("up", TURNGATE_PORT="eighty")
    assert said.code == CONFIG
    said.names("TURNGATE_PORT = eighty (environment)", "a whole number from 0 to 65535")
    assert newcomer.doctor(TURNGATE_PORT="eighty")["settings"] == "fail"


def test_a_rule_for_an_agent_that_is_not_there(newcomer: Newcomer) -> None:
    """The gateway starts, as all other rules work, and says so; the message is refused."""
    routes = newcomer.folder / "workspace" / "routes.json"
    routes.write_text('{"bindings": [{"agent": "mian", "match": {"channel": "stdio"}}]}')
    said = newcomer.types("chat", stdin="hello\n")
    said.names("mian", "main")
    assert newcomer.doctor()["workspace"] == "warn"


def test_a_port_that_somebody_has(newcomer: Newcomer, port: str) -> None:
    said = newcomer.types("up", TURNGATE_PORT=port)
    assert said.code == CONFIG
    said.names(f"port {port} is taken", "TURNGATE_PORT")
    assert newcomer.doctor(TURNGATE_PORT=port)["port"] == "fail"


def test_a_home_that_cannot_be_written(newcomer: Newcomer) -> None:
    """Below a file, which not even root can write."""
    home = str(newcomer.folder / "turngate.toml" / "home")
    said = newcomer.types("up", TURNGATE_HOME=home)
    assert said.code == CONFIG
    said.names(home, "TURNGATE_HOME")
    assert newcomer.doctor(TURNGATE_HOME=home)["home"] == "fail"


def test_an_address_that_is_none(newcomer: Newcomer) -> None:
    model = {"TURNGATE_MODEL": "auto", "LLM_BASE_URL": "127.0.0.1:11434", "LLM_MODEL": "m"}
    said = newcomer.types("up", **model)
    assert said.code == CONFIG
    said.names("LLM_BASE_URL = 127.0.0.1:11434", "http://127.0.0.1:11434/v1")
    assert newcomer.doctor(**model)["settings"] == "fail"


def test_a_key_that_is_refused(newcomer: Newcomer) -> None:
    """The sender gets a sentence; the operator is told which key by the doctor."""
    with canned(b'{"error": {"message": "Incorrect API key"}}', status=401) as server:
        model = {"LLM_BASE_URL": server.base_url, "LLM_MODEL": "m", "LLM_API_KEY": "sk-wrong"}
        model["TURNGATE_MODEL"] = "auto"
        said = newcomer.types("chat", stdin="hello\n", **model)
        looked = newcomer.types("doctor", "--online", **model)
    assert "Traceback" not in said.out + said.err
    assert "key" in said.out
    assert looked.code == 1
    assert f"{server.base_url} refuses the key in LLM_API_KEY (HTTP 401)" in looked.out
    assert "sk-wrong" not in said.out + said.err + looked.out + looked.err


def test_a_database_of_a_newer_version(newcomer: Newcomer) -> None:
    newcomer.types("chat", stdin="hello\n")
    database = newcomer.folder / ".turngate" / "turngate.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 999")
    said = newcomer.types("up")
    assert said.code == CONFIG
    said.names("schema 999", "newer turngate", "backup")
    assert newcomer.doctor()["database"] == "fail"


def test_a_second_process_on_the_same_home(newcomer: Newcomer) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "gateway", "up"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=newcomer.folder,
        env=newcomer.environment(),
    ) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline().startswith("http://")
            said = newcomer.types("up")
            levels = newcomer.doctor()
        finally:
            first.kill()
    assert said.code == UNAVAILABLE
    said.names(f"pid {first.pid}", "Stop that one")
    assert levels["gateway"] == levels["database"] == "ok"


def test_a_disk_without_room(newcomer: Newcomer) -> None:
    """No file may grow past 16 KiB: the first write of the database fails as on a full disk."""
    said = newcomer.types_on_a_full_disk("up")
    assert said.code == UNAVAILABLE, said.err
    said.names("turngate.db")
