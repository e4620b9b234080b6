"""The promise of the first day: without any key, a real model answers.

A real gateway, its real child process, the real weights. `make model` puts those into the cache of
this machine; where they cannot be had, or llama.cpp has no wheel, these tests say so and skip.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from gateway.composition.answering import local_weights
from gateway.settings.settings import Settings
from gateway.simulate.server import simulating
from tests.support.machine import listening, processes

SERVER = b"local_server.py"
"""In the command line of a process that runs a model."""
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0
"""Longest a command may take on a machine that does other things; most need two seconds."""

DIARY = "today it rained, so I stayed at home and read about ships and the people on them. " * 3
MAX_PAGES = 30
"""It is out of its window after six to ten, depending on how much it answers."""
SHRUNK = '{"kinds": ["turn.compacted", "turn.shortened"]}'

pytestmark = pytest.mark.timeout(180)


@dataclass
class Gateway:
    """`turngate up` with the local model, in a folder and with a cache of its own."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
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
            **self.settings,
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
        """The process that runs the model."""
        assert self.process is not None
        (pid,) = [pid for pid, parent in processes(SERVER) if parent == self.process.pid]
        return pid


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whose cache holds the weights."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("llama.cpp has no wheel for this system: make model")
    if not hasattr(os, "pidfd_open"):
        pytest.skip("this system does not tell which processes there are")
    weights = local_weights(Settings()).cache.path
    if not weights.exists():
        pytest.skip("the weights are not on this machine: make model")
    folder = tmp_path_factory.mktemp("local")
    _fill(folder, weights)
    return folder


def _fill(folder: Path, weights: Path) -> None:
    """A cache of its own: only one gateway at a time has the model of a cache."""
    models = folder / "cache" / "models"
    models.mkdir(parents=True)
    (models / weights.name).symlink_to(weights)


@pytest.fixture(scope="module")
def gateway(folder: Path) -> Iterator[Gateway]:
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


def test_a_model_that_is_killed_in_its_answer_is_asked_again(gateway: Gateway) -> None:
    """By a new process; the sender sees one whole answer, and the next message is answered too."""
    token = (gateway.folder / "home" / "token").read_text("ascii").strip()
    asked = (
        ("events.subscribe", {"previews": True}),
        ("turns.start", {"text": "Tell me a very long story about a dragon."}),
    )
    with connect(
        f"{gateway.url.replace('http', 'ws', 1)}/ws",
        additional_headers={"Authorization": f"Bearer {token}"},
        open_timeout=PATIENCE_S,
    ) as socket:
        for id, (method, params) in enumerate(asked):
            frame = {"jsonrpc": "2.0", "id": id, "method": method, "params": params}
            socket.send(json.dumps(frame))
        while "turns.delta" not in (said := str(socket.recv(PATIENCE_S))):
            assert '"error"' not in said
        turn_id = json.loads(said)["params"]["turn_id"]
        before = gateway.child()
        os.kill(before, signal.SIGKILL)
    ended = json.loads(gateway.run("turns", "wait", turn_id, "--json").stdout)
    assert ended["state"] == "answered"
    assert ended["reply"].strip()
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
    where = listening(pid)
    if not where:
        pytest.skip("this system does not tell who listens where")
    [(address, port)] = where
    assert address == "127.0.0.1", "loopback only"
    url = f"http://{address}:{port}"
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
    assert len(models_that_ended(gateway, starts=1)) == 1


@pytest.mark.slow
def test_ten_starts_in_a_row_leave_one_process(gateway: Gateway) -> None:
    assert len(models_that_ended(gateway, starts=10)) == 10


def models_that_ended(gateway: Gateway, *, starts: int) -> set[int]:
    """The processes of models whose gateways were killed; the next one found the lock free."""
    seen: list[int] = []
    for _ in range(starts):
        gateway.run("send", "hello")
        seen.append(gateway.child())
        watched = os.pidfd_open(seen[-1])
        gateway.kill()
        ended, _, _ = select.select([watched], [], [], PATIENCE_S)
        os.close(watched)
        assert ended, "the model's process outlived its gateway"
        gateway.start()
    answer = gateway.run("send", "hello")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    left = {pid for pid, _ in processes(SERVER)}
    assert left.isdisjoint(seen)
    assert gateway.child() in left
    return set(seen)


@pytest.mark.slow
async def test_a_conversation_goes_on_with_it_while_the_model_server_fails(folder: Path) -> None:
    """What is said is longer than its whole window, and what was made of that is told; when the
    server is back, that sees all of it.

    The conversation in `docs/local-model.md` is what this prints.
    """
    home = folder / "failing"
    _fill(home, local_weights(Settings()).cache.path)
    async with simulating() as server:
        gateway = Gateway(home, {"TURNGATE_MODEL": "", "LLM_FALLBACK_MODELS": "local"})
        gateway.settings |= {"LLM_MODEL": "big", "LLM_BASE_URL": server.base_url}
        await asyncio.to_thread(gateway.start)

        async def typed(*words: str) -> str:
            done = await asyncio.to_thread(gateway.run, *words)
            line = shlex.join(words).replace(DIARY, DIARY[:40] + "…")
            sys.stdout.write(f"$ turngate {line}\n{done.stdout}")
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        try:
            assert await typed("send", "My name is Ann.") == "You said: My name is Ann.\n"
            server.set("unavailable")
            looked, page = ("events", "list", "--filter", SHRUNK), 0
            while page < MAX_PAGES and not (await asyncio.to_thread(gateway.run, *looked)).stdout:
                page += 1
                answer = await typed("send", f"Page {page} of my diary: {DIARY}")
                assert answer.strip()
                assert "not available right now" in answer or page > 1
            assert await typed(*looked), "what was done about it is told"
            assert re.search(r"local +ready .* 1024", await typed("models"))
            server.clear()
            await typed("profiles", "clear")
            assert "[big answers again]" in await typed("send", "What is my name?")
        finally:
            await asyncio.to_thread(gateway.kill)
        last = server.asked[-1].messages
        assert sum("Page" in str(said["content"]) for said in last) == page


HIDING = """
for file in $(ls /usr/lib/*/libgomp.so.1 /lib/*/libgomp.so.1 2>/dev/null); do
  mount --bind /dev/null "$(readlink -f "$file")" || exit 77
done
exec "$@"
"""


@pytest.mark.slow
def test_it_runs_on_a_system_without_an_openmp_library(folder: Path) -> None:
    """As slim images and Debian's minimal root are: the wheels bring all that it needs."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root can hide a library of the system")
    gateway = Gateway(folder)
    checking = [sys.executable, "-m", "gateway", "model", "status", "--json"]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", HIDING, "sh", *checking],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=gateway.environment,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip("this machine lets nobody mount")
    assert json.loads(done.stdout)["usable"], done.stdout + done.stderr
