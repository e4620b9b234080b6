"""No command ends in a traceback, whatever its arguments, files and surroundings hold."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main as command_line
from gateway.cli.ending import BUG, IO_FAILED, told
from gateway.cli.main import COMMANDS
from gateway.core.errors import Bug, Conflict, InvalidInput
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

NOISE = b"\xff\xfe\x00\x80{]=\n[\x00"
CODES = {0, 1, 2, 69, 74, 75, 77, 78, 130}
NOWHERE = "192.0.2.1"
"""Nothing can be bound to it, so a gateway that would start gets as far as that and no further."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own, settings included; signals as they were."""
    for name in ("TURNGATE_MODEL", "TURNGATE_HOME", "TURNGATE_TOKEN", "TURNGATE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("gateway.cli.nearby.USUAL_PORT", 1)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield folder
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run a command in this process; its code and what it said on stderr."""

    def run(*words: str, stdin: bytes = b"") -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["turngate", *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        code = command_line.main()
        return code, capfd.readouterr().err

    return run


def fine(code: int, said: str) -> None:
    """The end of a command that users may meet."""
    assert "Traceback" not in said
    assert "is a bug" not in said
    assert code in CODES, said
    assert code in (0, 130) or said.strip(), "it failed without a word"


WORDS: dict[str, tuple[str, ...]] = {
    "init": ("init", "--yes"),
    "doctor": ("doctor",),
    "up": ("up", "--host", NOWHERE, "--model", "scripted"),
    "chat": ("chat", "--model", "scripted"),
    "send": ("send", "hello"),
    "status": ("status",),
    "turns": ("turns", "list"),
    "events": ("events", "list"),
    "runs": ("runs", "import", "file"),
    "tokens": ("tokens", "list"),
    "model": ("model", "status"),
    "simulate": ("simulate", "--host", NOWHERE, "--rules", "file"),
    "store": ("store", "check"),
    "config": ("config", "show"),
    "conformance": ("conformance",),
}
"""Those left out are made from the catalogue as `turns` is."""

QUICK = ("init", "send", "runs", "model", "simulate", "store", "config")
"""The others find their gateway as `send` does, or start one, which takes a second."""


def _file(path: Path, data: bytes = NOISE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def noise_everywhere(here: Path, patch: pytest.MonkeyPatch) -> None:
    for name in (".env", "turngate.toml", "file"):
        _file(here / name)
    homes(here, patch)


def homes(here: Path, patch: pytest.MonkeyPatch) -> None:
    for name in ("gateway.json", "token", "turngate.db", ".gitignore"):
        _file(here / ".turngate" / name)
    (here / ".turngate").chmod(0o700)


def workspaces(here: Path, patch: pytest.MonkeyPatch) -> None:
    _file(here / "workspace" / "routes.json")
    _file(here / "workspace" / ".agents" / "main" / "AGENT.md")
    _file(here / "file", b"{}")


def folders_for_files(here: Path, patch: pytest.MonkeyPatch) -> None:
    for name in (".env", "turngate.toml", "file", "workspace/routes.json"):
        (here / name).mkdir(parents=True)
    for name in ("gateway.json", "token", "turngate.db"):
        (here / ".turngate" / name).mkdir(parents=True)
    (here / ".turngate").chmod(0o700)


def files_for_folders(here: Path, patch: pytest.MonkeyPatch) -> None:
    for name in (".turngate", "workspace"):
        _file(here / name)


def gateway_file(text: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def world(here: Path, patch: pytest.MonkeyPatch) -> None:
        _file(here / ".turngate" / "gateway.json", text.encode())
        _file(here / ".turngate" / "token", b"tg_" + b"x" * 40)
        (here / ".turngate").chmod(0o700)

    return world


def token(data: bytes) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def world(here: Path, patch: pytest.MonkeyPatch) -> None:
        _file(here / ".turngate" / "gateway.json", b'{"url": "http://127.0.0.1:1"}')
        _file(here / ".turngate" / "token", data)
        (here / ".turngate").chmod(0o700)

    return world


def variable(name: str, value: str) -> Callable[[Path, pytest.MonkeyPatch], None]:
    def world(here: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setenv(name, value)

    return world


def no_folder(here: Path, patch: pytest.MonkeyPatch) -> None:
    """The working directory was deleted by another terminal."""
    here.rmdir()


def no_home(here: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setenv("HOME", "/nonexistent/home")
    patch.delenv("XDG_STATE_HOME")
    patch.delenv("XDG_CACHE_HOME")


def bytes_in_the_folder(here: Path, patch: pytest.MonkeyPatch) -> None:
    strange = here / os.fsdecode(b"str\xffnge")
    strange.mkdir()
    patch.chdir(strange)


HUGE = "9" * 5000
WORLDS: dict[str, Callable[[Path, pytest.MonkeyPatch], None]] = {
    "nothing": lambda here, patch: None,
    "noise": noise_everywhere,
    "noise in the home": homes,
    "noise in the workspace": workspaces,
    "folders for files": folders_for_files,
    "files for folders": files_for_folders,
    "no folder": no_folder,
    "no home": no_home,
    "bytes in the folder": bytes_in_the_folder,
    "gateway.json is a list": gateway_file("[1]"),
    "gateway.json has a number": gateway_file('{"url": 7}'),
    "gateway.json names no address": gateway_file('{"url": "http://[::1"}'),
    "gateway.json has a port of letters": gateway_file('{"url": "http://127.0.0.1:port"}'),
    "gateway.json has a huge port": gateway_file('{"url": "http://127.0.0.1:99999999"}'),
    "gateway.json names a strange host": gateway_file('{"url": "http://a\\u0000b:1"}'),
    "gateway.json names a long host": gateway_file('{"url": "http://%s"}' % ("x" * 500)),
    "gateway.json is deep": gateway_file("[" * 100_000),
    "a token of bytes": token(b"\xff\xfe"),
    "a token of lines": token(b"a\r\nX: y"),
    "a token with letters": token("tökén\0".encode()),
    "bytes for a home": variable("TURNGATE_HOME", os.fsdecode(b"h\xffme")),
    "bytes for a workspace": variable("WORKSPACE_DIR", os.fsdecode(b"w\xffrk")),
    "bytes for a token": variable("TURNGATE_TOKEN", os.fsdecode(b"t\xff" * 30)),
    "bytes for an address": variable("TURNGATE_URL", os.fsdecode(b"http://h\xff")),
    "bytes for a model": variable("LLM_MODEL", os.fsdecode(b"m\xff")),
    "bytes for a key": variable("LLM_API_KEY", os.fsdecode(b"k\xff")),
    "bytes for a store": variable("TURNGATE_STORE", os.fsdecode(b"s\xff.db")),
    "a huge port": variable("TURNGATE_PORT", HUGE),
    "an address of noise": variable("TURNGATE_URL", "http://[::1"),
    "a store of noise": variable("TURNGATE_STORE", "postgresql://[::1"),
    "a long path": variable("TURNGATE_HOME", "/tmp/" + "x" * 5000),
    "a host of noise": variable("TURNGATE_HOST", "\x01, [::"),
    "a strange locale": variable("LC_ALL", "xx_YY.KOI-7"),
    "a strange width": variable("COLUMNS", "-1"),
}


TYPICAL = ("noise", "folders for files", "files for folders", "no folder", "bytes for a home")
"""One of each kind; all of them are tried where time does not matter."""


def test_every_command_is_tried() -> None:
    generated = {name for name, (module, _) in COMMANDS.items() if module == "gateway.cli.methods"}
    assert set(COMMANDS) <= set(WORDS) | generated


@pytest.mark.parametrize(
    "world",
    [pytest.param(name, marks=() if name in TYPICAL else pytest.mark.slow) for name in WORLDS],
)
@pytest.mark.timeout(60)  # seven commands, each of which reads all settings
def test_no_command_ends_in_a_traceback(
    world: str,
    here: Path,
    run: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    WORLDS[world](here, monkeypatch)
    for name, words in WORDS.items():
        if name in QUICK:
            fine(*run(*words))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(WORDS.keys() - set(QUICK)))
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.timeout(60)  # a start and a stop on a machine that does more
def test_no_other_command_ends_in_a_traceback(
    world: str,
    name: str,
    here: Path,
    run: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    WORLDS[world](here, monkeypatch)
    fine(*run(*WORDS[name]))


WRONG_WORDS: list[tuple[str, ...]] = [
    ("send", "\udcff"),
    ("send", "a\0b"),
    ("\udcff",),
    ("config", "explain", "\udc80\x1b[31m"),
    ("config", "explain", "x" * 100_000),
    ("send", "x", "--wait", "nan"),
    ("send", "x", "--wait", "inf"),
    ("send", "x", "--wait", "1e999"),
    ("turns", "list", "--limit", HUGE),
    ("turns", "list", "--limit", "-1"),
    ("events", "list", "--after-seq", HUGE),
    ("events", "follow", "--after-seq", HUGE),
    ("up", "--port", HUGE),
    ("up", "--port", "-1"),
    ("up", "--processes", HUGE),
    ("up", "--tls-cert", "\udcff"),
    ("up", "--tls-cert", "/", "--tls-key", "/"),
    ("simulate", "--port", HUGE),
    ("simulate", "--host", NOWHERE, "--delay", "nan"),
    ("simulate", "--host", NOWHERE, "--seed", HUGE),
    ("simulate", "--host", "x" * 300),
    ("simulate", "--host", "a..b"),
    ("simulate", "--fault", "="),
    ("simulate", "--fault", "server=nan"),
    ("simulate", "--fault", "server=" + HUGE),
    ("simulate", "--rules", "/"),
    ("simulate", "--rules", "missing.toml"),
    ("store", "backup", "/"),
    ("store", "restore", "/dev/null"),
    ("store", "restore", "missing"),
    ("store", "copy", "postgresql://[::1"),
    ("store", "copy", "nonsense"),
    ("runs", "import", "/"),
    ("runs", "import", "missing"),
    ("runs", "import", "-"),
    ("bindings", "set", "{"),
    ("bindings", "set", "[" * 100_000),
    ("model", "pull", "--file", "/"),
    ("model", "pull", "--file", "/dev/null"),
    ("conformance", "http://[::1"),
    ("conformance", "nonsense"),
    ("conformance", "http://127.0.0.1:99999999"),
    ("status", "--url", "http://[::1"),
    ("status", "--url", "ws://127.0.0.1:1"),
    ("status", "--home", "x" * 5000),
    ("status", "--home", "\x1b]0;x\x07"),
    ("doctor", "--home", "x" * 5000),
    ("init", "/dev/null/x"),
]


@pytest.mark.parametrize("words", WRONG_WORDS, ids=lambda words: " ".join(words)[:40])
@pytest.mark.timeout(30)
def test_no_argument_ends_in_a_traceback(
    words: tuple[str, ...],
    here: Path,
    run: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TURNGATE_TOKEN", "tg_" + "x" * 40)
    code, said = run(*words, stdin=NOISE)
    fine(code, said)
    assert code != 0
    assert "\x1b" not in said


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("stdin", [NOISE, b"\0" * 10, b"a\xffb\n", b"x" * 3_000_000, b"[" * 99_999])
@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.timeout(60)
def test_whatever_comes_through_a_pipe_a_chat_ends_properly(
    shell: Shell, stdin: bytes, options: tuple[str, ...]
) -> None:
    done = _process(shell, "chat", *options, stdin=stdin)
    assert b"Traceback" not in done.stderr
    assert b"is a bug" not in done.stderr
    assert done.returncode in CODES


@pytest.mark.process
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
@pytest.mark.timeout(60)
def test_closed_streams_are_no_end_of_a_command(shell: Shell, closed: tuple[int, ...]) -> None:
    """The next file opened would get such a number, the database perhaps."""

    def close() -> None:
        for number in closed:
            os.close(number)

    done = _process(shell, "config", "show", preexec_fn=close)
    assert done.returncode == 0
    assert done.stderr == b""


@pytest.mark.process
@pytest.mark.timeout(60)
def test_a_reader_that_has_enough_gets_no_word_about_it(shell: Shell) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = _process(shell, "config", "show", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def _process(shell: Shell, *words: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    stdin = how.pop("stdin", b"")
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        input=stdin,
        stdout=how.pop("stdout", subprocess.PIPE),
        stderr=subprocess.PIPE,
        timeout=PATIENCE_S,
        cwd=shell.folder,
        env=shell.environment(),
        check=False,
        **how,
    )


def test_a_bug_is_one_sentence_and_its_traceback_a_file_of_the_user(
    here: Path, run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("what only we can mend")

    monkeypatch.setattr("gateway.cli.config.load_settings", broken)
    code, said = run("config", "show")
    assert code == BUG
    assert re.fullmatch(
        r"turngate: something went wrong inside turngate, which is a bug "
        r"\(incident \w+\); \S+incidents\.log says more\n",
        said,
    )
    file = here.parent / "state" / "turngate" / "incidents.log"
    assert "RuntimeError: what only we can mend" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert said.split("incident ")[1].split(")")[0] in file.read_text()


def test_where_no_file_can_be_written_the_sentence_is_all(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "state").write_text("a file")
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "state"))
    monkeypatch.setattr("tempfile.tempdir", str(here / "missing"))
    assert told(RuntimeError("x")) == BUG
    assert capsys.readouterr().err.endswith(")\n")


def test_the_file_of_incidents_has_a_bound(here: Path) -> None:
    for _ in range(3):
        told(RuntimeError("x" * 200_000))
    folder = here.parent / "state" / "turngate"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 700_000


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (asyncio.CancelledError(), 130, ""),
        (BrokenPipeError(32, "Broken pipe"), 1, ""),
        (InvalidInput("no"), 2, "turngate: no\n"),
        (BaseExceptionGroup("", [RuntimeError(), Conflict("it moved")]), 1, "turngate: it moved\n"),
        (
            PermissionError(13, "Permission denied", "a\x1bb"),
            IO_FAILED,
            "turngate: Permission denied: a�b; is it there, and may you use it?\n",
        ),
        (Bug("x"), BUG, None),
        (RecursionError(), BUG, None),
    ],
)
def test_what_was_raised_becomes_a_sentence_and_a_code(
    error: BaseException,
    code: int,
    said: str | None,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.cli.ending.give_up_output", lambda: None)
    assert told(error) == code
    err = capsys.readouterr().err
    assert err == said if said is not None else "incident" in err
