"""`turngate up`: how it starts, refuses to start, and ends."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(shell: Shell, number: signal.Signals) -> None:
    """Exit code 0, and nobody is led to an address where nothing listens."""
    with shell.up() as (process, url):
        file = shell.home / "gateway.json"
        assert json.loads(file.read_text("utf-8")) == {
            "url": url,
            "pid": process.pid,
        }
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        assert out == ""
        assert "Traceback" not in err
        assert not file.exists()


def test_a_second_one_on_the_same_home_says_who_owns_it(shell: Shell) -> None:
    with shell.up() as (process, _):
        second = shell.run("up", "--port", "0")
        assert second.returncode == 69
        assert str(process.pid) in second.stderr
        assert "Traceback" not in second.stderr
        assert (shell.home / "gateway.json").exists()


def test_several_processes_need_a_database_they_can_share(shell: Shell) -> None:
    """The setting that is missing is named."""
    refused = shell.run("up", "--processes", "2")
    assert refused.returncode == 78
    assert "TURNGATE_STORE=postgresql://" in refused.stderr
    assert "TURNGATE_PROCESSES" in refused.stderr or "--processes" in refused.stderr


def test_a_port_that_is_taken_is_named(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = shell.run("up", "--port", port)
    assert refused.returncode == 78
    assert port in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_home_whose_gateway_holds_the_port_is_named(shell: Shell) -> None:
    """Of a gateway of this user in another folder."""
    with shell.up() as (_, url):
        other = shell.folder / "other"
        port = url.rpartition(":")[2]
        refused = shell.run("up", "--port", port, TURNGATE_HOME=str(other))
    assert refused.returncode == 78
    assert f"port {port} is taken by the gateway of {shell.home.resolve()}" in refused.stderr
    assert f"turngate chat --home {shell.home.resolve()}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_weak_preset_token_is_refused(shell: Shell) -> None:
    refused = shell.run("up", "--port", "0", TURNGATE_TOKEN="short")
    assert refused.returncode == 78
    assert "TURNGATE_TOKEN" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_home_that_others_may_write_to_is_refused_by_whatever_uses_it(shell: Shell) -> None:
    """A command would send its token wherever a file in there says."""
    shell.home.mkdir(exist_ok=True)
    shell.home.chmod(0o777)
    for command in (("up", "--port", "0"), ("status",), ("send", "hi")):
        refused = shell.run(*command)
        assert refused.returncode == 78, command
        assert "chmod go-w" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert not list(shell.home.iterdir())
    doctor = shell.run("doctor")
    assert doctor.returncode != 0
    assert "chmod go-w" in doctor.stdout + doctor.stderr
    shell.home.chmod(0o700)


def test_listening_for_other_machines_needs_a_token(shell: Shell) -> None:
    refused = shell.run("up", "--port", "0", "--host", "0.0.0.0")
    assert refused.returncode == 78
    assert "TURNGATE_TOKEN" in refused.stderr
    assert "openssl rand" in refused.stderr, "a made credential would not do; a way to this one"


def test_a_preset_token_is_the_operators(shell: Shell) -> None:
    token = "a-token-of-40-characters-for-anybody-1"
    with shell.up(TURNGATE_TOKEN=token):
        assert shell.run("status", TURNGATE_TOKEN=token).returncode == 0


def test_a_newcomer_is_told_how_to_talk_to_it(shell: Shell) -> None:
    """The address alone on stdout; what runs, which model and what to type on stderr."""
    with shell.up() as (process, url):
        assert url.startswith("http://127.0.0.1:")
        process.terminate()
        out, err = process.communicate(timeout=PATIENCE_S)
    assert out == ""
    for word in ("scripted model", "make chat", 'turngate send "hello"', str(shell.home / "token")):
        assert word in err


@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="nothing is fetched that cannot run here"
)
def test_the_address_stands_on_a_line_of_its_own_while_the_model_is_fetched(shell: Shell) -> None:
    """From an index that never answers; its bar is there before the port is."""
    ours, theirs = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as silent, os.fdopen(ours, "rb", 0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "up", "--port", "0"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=shell.folder,
            env=shell.environment(
                TURNGATE_MODEL="local",
                TURNGATE_CACHE=str(shell.folder / "nothing"),
                PIP_INDEX_URL=f"http://127.0.0.1:{silent.getsockname()[1]}/simple",
            ),
        )
        try:
            os.close(theirs)
            seen = b""
            while b"token:" not in seen or b" 0 %" not in seen:
                seen += screen.read(4096)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)
    lines = seen.decode().replace("\r\n", "\n").split("\n")
    assert next(line for line in lines if "http://" in line).startswith("http://"), lines


def test_a_home_deleted_under_a_gateway_ends_it_and_frees_its_port(shell: Shell) -> None:
    """It says once what happened and what to do; nothing of it comes back into a new folder."""
    with shell.up() as (process, url):
        shutil.rmtree(shell.home)
        shell.home.mkdir(mode=0o700)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 69, err
    assert err.count("store.lost") == 1
    assert "restore a backup" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert list(shell.home.iterdir()) == []
    with socket.create_server(("127.0.0.1", urlsplit(url).port or 0)):
        pass


def test_a_database_deleted_under_a_gateway_is_saved_and_put_back(shell: Shell) -> None:
    """Nothing is accepted that would be lost, nothing that was accepted is, however it ends."""
    with shell.up() as (process, _):
        assert shell.run("send", "remember me").returncode == 0
        (shell.home / "turngate.db").unlink()
        refused = shell.run("send", "forget me")
        assert refused.returncode == 69
        assert "turngate.db was deleted" in refused.stderr
        # The checks come once a second, and a command takes a third of one.
        assert any("store_lost" in shell.run("status").stdout for _ in range(30))
        assert "was deleted or moved while a gateway uses it" in shell.run("store", "check").stderr
        process.kill()
    again = shell.run("up", "--port", "0")
    assert again.returncode == 69
    copy = shell.home / "turngate.db.saved-1"
    assert f"turngate store restore {copy}" in again.stderr
    assert shell.run("store", "restore", str(copy)).returncode == 0
    assert shell.run("store", "check").returncode == 0
    with shell.up():
        shown = shell.run("turns", "list").stdout
    assert "answered" in shown
    assert len(shown.splitlines()) == 2


def declare(shell: Shell, name: str, text: str) -> None:
    path = shell.folder / "workspace" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_gateway_without_a_usable_agent_is_not_ready_and_says_why(shell: Shell) -> None:
    """No plain agent answers for those whose file has a mistake; one that is added helps."""
    declare(shell, ".agents/luna/AGENT.md", "---\ndenied_tools: read_flie\n---\nLuna.")
    doctor = shell.run("doctor")
    assert doctor.returncode == 1
    assert "no agent can be used" in doctor.stdout
    assert "did you mean 'read_file'?" in doctor.stdout
    with shell.up() as (_, url), httpx.Client(base_url=url, trust_env=False) as http:
        answer = http.get("/readyz")
        assert (answer.status_code, answer.json()) == (
            503,
            {"status": "degraded", "reasons": ["no_agent"]},
        )
        sent = shell.run("send", "hello")
        assert sent.returncode != 0
        assert "main" in sent.stderr
        seen = shell.run("doctor")
        assert "no_agent" in seen.stdout
        assert shell.run("agents", "register", "sol", "--name", "Sol").returncode == 0
        while http.get("/readyz").status_code != 200:
            pass


@pytest.mark.parametrize("words", [("up", "--port", "0"), ("chat",), ("doctor",)])
def test_a_misplaced_agent_is_named_at_each_start(shell: Shell, words: tuple[str, ...]) -> None:
    """With what moves it; a plain agent answers until then."""
    declare(shell, "agents/luna/AGENT.md", "Luna.")
    declare(shell, ".agents/sol/agent.md", "Sol.")
    if words[0] == "up":
        with shell.up() as (process, _):
            process.terminate()
            said = process.communicate()[1]
    else:
        done = shell.run(*words)
        assert done.returncode == 0
        said = done.stdout + done.stderr
    said = " ".join(said.split())
    assert "mv workspace" not in said, "the workspace is absolute here"
    assert "agents are declared below .agents" in said
    assert "the file is called AGENT.md" in said


def test_status_shows_the_bounds_of_the_network_surface_as_set(shell: Shell) -> None:
    """The command itself is one of the connections."""
    with shell.up(TURNGATE_CONNECTIONS="64", TURNGATE_CLIENT_MEMORY="32"):
        told = json.loads(shell.run("status", "--json").stdout)
    bounds = {bound["name"]: bound for bound in told["bounds"]}
    assert (bounds["connections"]["total"], bounds["connections"]["used"]) == (64, 1)
    assert (bounds["slow_clients"]["total"], bounds["slow_clients"]["used"]) == (32 << 20, 0)
