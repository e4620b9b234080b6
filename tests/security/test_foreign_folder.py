"""Commands in a folder of a stranger: a clone, an archive, a shared machine."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.canned import canned
from tests.unit.gateway.cli.shell import Shell

pytestmark = pytest.mark.timeout(60)  # commands are started

TOKEN = "canary-of-a-token-0123456789-abcdefghijkl"
COMMANDS = (
    ("status",),
    ("send", "hi"),
    ("turns", "list"),
    ("conformance",),
    ("chat",),
    ("doctor",),
)


class Trap:
    """Listens on loopback and keeps every byte that comes."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        self.heard = b""

    def listen(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
                peer.settimeout(5)
                with peer:
                    self.heard += peer.recv(65_536)
            except OSError:
                if self._server.fileno() < 0:
                    return


@contextmanager
def trapped() -> Iterator[Trap]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        trap = Trap(server)
        listening = threading.Thread(target=trap.listen, daemon=True)
        listening.start()
        yield trap
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        listening.join(5)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def here(**more: str) -> dict[str, str]:
    """The environment of a user who set a token, and no folder."""
    return {"TURNGATE_HOME": "", "TURNGATE_TOKEN": TOKEN, **more}


def plant(shell: Shell, url: str, pid: int) -> None:
    """What an archive may hold: a home with the right modes."""
    home = shell.folder / ".turngate"
    home.mkdir(mode=0o700)
    (home / "gateway.json").write_text(json.dumps({"url": url, "pid": pid}))
    (home / "gateway.json").chmod(0o600)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_token_goes_to_no_address_a_planted_home_names(
    shell: Shell, words: tuple[str, ...]
) -> None:
    """Not even on loopback, and not with the pid of a process that is alive and the user's own."""
    with trapped() as trap:
        plant(shell, trap.url, os.getppid())
        done = shell.run(*words, **here())
    assert TOKEN.encode() not in trap.heard
    assert trap.heard == b"" or words == ("doctor",)
    assert done.returncode == (1 if words == ("doctor",) else 78)
    assert f"set TURNGATE_URL={trap.url} in the environment" in done.stdout + done.stderr


@pytest.mark.parametrize("place", [".env", "turngate.toml"])
@pytest.mark.parametrize("words", COMMANDS[:4], ids=" ".join)
def test_a_token_goes_to_no_address_the_settings_of_a_folder_name(
    shell: Shell, words: tuple[str, ...], place: str
) -> None:
    with trapped() as trap:
        line = {".env": f"TURNGATE_URL={trap.url}", "turngate.toml": f'turngate_url = "{trap.url}"'}
        (shell.folder / place).write_text(line[place])
        done = shell.run(*words, **here())
        assert trap.heard == b""
    assert done.returncode == 78
    assert f"--url {trap.url}" in done.stderr


def test_a_home_named_by_the_folder_is_no_better(shell: Shell) -> None:
    with trapped() as trap:
        plant(shell, trap.url, os.getppid())
        (shell.folder / ".turngate").rename(shell.folder / "other")
        (shell.folder / ".env").write_text("TURNGATE_HOME=other\n")
        done = shell.run("status", **here())
        assert trap.heard == b""
    assert done.returncode == 78


def test_what_the_user_names_is_spoken_to(shell: Shell) -> None:
    """By option, by variable, and by naming the home."""
    with trapped() as trap:
        plant(shell, trap.url, os.getppid())
        for words, more in (
            (("status", "--url", trap.url), {}),
            (("status",), {"TURNGATE_URL": trap.url}),
            (("status", "--home", ".turngate"), {}),
            (("status",), {"TURNGATE_HOME": ".turngate"}),
        ):
            before = len(trap.heard)
            shell.run(*words, **here(**more))
            assert len(trap.heard) > before, (words, more)


def test_our_own_gateway_is_recognised_without_a_word_more(shell: Shell) -> None:
    """The usual way: a token in the environment, a gateway started in the same folder."""
    with shell.up(**here()) as (process, _url):
        assert shell.run("status", **here()).returncode == 0
        process.kill()
        process.wait()
    left = shell.run("status", **here())
    assert left.returncode == 69
    assert "turngate up" in left.stderr


def test_a_key_of_the_environment_is_not_sent_by_any_command(shell: Shell) -> None:
    """The folder brings an address for it; `up`, `chat` and `doctor --online` would use it."""
    with canned(b"{}") as server:
        (shell.folder / "turngate.toml").write_text(
            f'llm_model = "m"\nllm_base_url = "{server.base_url}"\n'
        )
        for words in (("up", "--port", "0"), ("chat",), ("doctor", "--online")):
            done = shell.run(*words, TURNGATE_MODEL="", LLM_API_KEY=TOKEN)
            assert done.returncode == (1 if words[0] == "doctor" else 78), words
            assert "LLM_API_KEY (environment) would be sent there" in done.stdout + done.stderr
            assert TOKEN not in done.stdout + done.stderr
        assert not server.asked


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_the_home_of_another_user_is_refused_by_every_command(shell: Shell) -> None:
    """Even for root: its owner could have put anything there."""
    shell.home.mkdir(mode=0o700)
    os.chown(shell.home, 12_345, 12_345)
    for words in (
        *COMMANDS[:-1],
        ("up", "--port", "0"),
        *(("store", verb) for verb in ("check", "migrate")),
        ("store", "backup", "copy.db"),
    ):
        done = shell.run(*words)
        assert done.returncode == 78, words
        assert "belongs to another user" in done.stderr
        assert f"chown -R 0 {shell.home}" in done.stderr
    seen = shell.run("doctor")
    assert seen.returncode == 1
    assert "belongs to another user" in seen.stdout
    assert not list(shell.home.iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_user_of_the_machine_runs_no_code_and_plants_no_credentials(shell: Shell) -> None:
    """Their `.env` names their task, and their database holds a token they know."""
    ran = shell.folder / "ran"
    (shell.folder / "evil.py").write_text(
        f"from pathlib import Path\nPath({str(ran)!r}).touch()\nasync def task(ctx, input): ...\n"
    )
    env, database = shell.folder / ".env", shell.folder / "planted.db"
    env.write_text(f"TURNGATE_TASKS={shell.folder}/evil.py:task\n")
    os.chown(env, 12_345, 12_345)
    refused = shell.run("up", "--port", "0")
    assert refused.returncode == 78
    assert "runs code as you" in refused.stderr
    env.unlink()
    database.write_bytes(b"")
    os.chown(database, 12_345, 12_345)
    for words in (("up", "--port", "0"), ("store", "check")):
        refused = shell.run(*words, TURNGATE_STORE=str(database))
        assert refused.returncode == 78, words
        assert "whose tokens would be accepted" in refused.stderr
    assert not ran.exists()
