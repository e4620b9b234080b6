"""The promise of the first day: without any key, a real model answers.

A real gateway, its real child process, the real weights. `make model` puts those into the cache of
this machine; where they cannot be had, or llama.cpp has no wheel, these tests say so and skip.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.app import local_weights
from gateway.config import Settings

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0
"""Longest a command may take on a machine that does other things; most need two seconds."""

pytestmark = pytest.mark.timeout(180)


@dataclass
class Gateway:
    """`turngate up` with the local model, in a folder and with a cache of its own."""

    folder: Path
    url: str = ""
    process: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TURNGATE_MODEL": "local",
            "TURNGATE_CACHE": str(self.folder / "cache"),
            "TURNGATE_HOME": str(self.folder / "home"),
            "WORKSPACE_DIR": str(self.folder / "workspace"),
            "LLM_FALLBACK_MODELS": "",
            # Offline: nothing but the cache may be needed.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "HTTP_PROXY": "http://127.0.0.1:9",
        }

    def start(self) -> None:
        with (self.folder / "stderr").open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "up", "--port", "0", "--log-level", "debug"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=self.folder,
                env=self.environment,
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.communicate()

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gateway", *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            cwd=self.folder,
            env=self.environment,
            check=False,
        )

    def child(self) -> int:
        """The process that runs the model; it holds the lock for its owner."""
        assert self.process is not None
        listing = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split(None, 2) for line in listing.stdout.splitlines()]
        (pid,) = [
            int(pid)
            for pid, parent, args in rows
            if int(parent) == self.process.pid and "local_server.py" in args
        ]
        return pid


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("llama.cpp has no wheel for this system: make model")
    weights = local_weights(Settings()).cache.path
    if not weights.exists():
        pytest.skip("the weights are not on this machine: make model")
    folder = tmp_path_factory.mktemp("local")
    models = folder / "cache" / "models"
    models.mkdir(parents=True)
    (models / weights.name).symlink_to(weights)
    started = Gateway(folder)
    started.start()
    try:
        yield started
    finally:
        started.kill()


def test_a_first_message_is_answered_by_a_real_model(gateway: Gateway) -> None:
    answer = gateway.run("send", "hello", "--json")
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout)
    assert told["state"] == "answered"
    assert told["reply"].strip()
    assert "You said" not in told["reply"], "never the scripted model in its place"
    status = json.loads(gateway.run("status", "--json").stdout)
    assert status["model"] == "local"
    assert "LLM_API_KEY" in status["model_note"]


def test_a_model_that_is_killed_is_there_for_the_next_message(gateway: Gateway) -> None:
    gateway.run("send", "hello")
    before = gateway.child()
    os.kill(before, signal.SIGKILL)
    answer = gateway.run("send", "hello again")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert answer.stdout.strip()
    assert gateway.child() != before


def test_nobody_else_on_the_machine_can_use_it(gateway: Gateway) -> None:
    """The port is open to every user here; the key is in no place another user could read."""
    gateway.run("send", "hello")
    pid = gateway.child()
    for name in ("environ", "cmdline"):
        if (file := Path(f"/proc/{pid}/{name}")).exists():
            words = file.read_bytes().replace(b"\0", b"\n").decode(errors="replace")
            assert not [word for word in words.split("\n") if len(word) >= 43 and "/" not in word]
    told = (gateway.folder / "stderr").read_text("utf-8")
    assert '"local_model.started"' in told
    assert not re.search(r"(?<![\w-])[\w-]{43}(?![\w-])", told), "looks like the key"
    file = json.loads((gateway.folder / "home" / "gateway.json").read_text("utf-8"))
    assert set(file) == {"url", "pid"}
    url = listening(pid)
    question = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    with httpx.Client(base_url=url, trust_env=False) as stranger:
        for headers in ({}, {"Authorization": "Bearer none"}, {"Authorization": "Bearer x"}):
            refused = stranger.post("/v1/chat/completions", json=question, headers=headers)
            assert refused.status_code == 401
            for path in ("/slots", "/props", "/metrics", "/v1/models"):
                assert stranger.get(path, headers=headers).status_code in (401, 404)
        page = stranger.get("/health", headers={"Origin": "http://evil.example"})
        assert page.headers.get("Access-Control-Allow-Origin", "") == ""


@pytest.mark.slow
def test_a_second_gateway_says_who_has_the_model(gateway: Gateway) -> None:
    """One a machine. It serves, and its turns end with a sentence instead of silence."""
    gateway.run("send", "hello")
    assert gateway.process is not None
    second = Gateway(gateway.folder / "second")
    second.folder.mkdir()
    (second.folder / "cache").symlink_to(gateway.folder / "cache")
    second.start()
    try:
        answer = second.run("send", "hello")
    finally:
        second.kill()
    assert answer.returncode == 1
    assert f"pid {gateway.process.pid}" in answer.stdout


def test_kill_9_of_the_gateway_leaves_no_process(gateway: Gateway) -> None:
    """Again and again: each new one finds the lock free, and one is left in the end."""
    children: list[int] = []
    for _ in range(2):
        answer = gateway.run("send", "hello")
        assert answer.returncode == 0, answer.stdout + answer.stderr
        children.append(gateway.child())
        watched = os.pidfd_open(children[-1]) if hasattr(os, "pidfd_open") else None
        gateway.kill()
        if watched is not None:
            ended, _, _ = select.select([watched], [], [], PATIENCE_S)
            os.close(watched)
            assert ended, "the model's process outlived its gateway"
        gateway.start()
    assert len(set(children)) == 2


def listening(pid: int) -> str:
    """Where a process listens, as every user of a Linux machine can find out."""
    sockets = {
        os.readlink(link).removeprefix("socket:[").removesuffix("]")
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if os.readlink(link).startswith("socket:")
    }
    for line in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in sockets:
            address, port = fields[1].split(":")
            assert address == "0100007F", "loopback only"
            return f"http://127.0.0.1:{int(port, 16)}"
    pytest.skip("this system does not tell who listens where")
