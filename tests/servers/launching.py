"""A model server as a process on a free port of this machine, for the length of a block."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.support.machine import listening

START_S = 600.0
"""The large ones import for a minute on a machine that does other things."""
LOOK_S = 0.2


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers: where, and what its model is called there."""

    base_url: str
    model: str

    @property
    def port(self) -> int:
        return int(self.base_url.rpartition(":")[2].partition("/")[0])


@contextmanager
def running(command: Sequence[str], model: str, folder: Path) -> Iterator[Running]:
    """Start it; which port it took is read from its sockets. It ends with its whole group."""
    log = folder / "server.log"
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(_address(process, model, log), model)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """Nothing is fetched from anywhere, and a machine of two cores is not overrun."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    (folder / "hub").mkdir(exist_ok=True)  # `transformers serve` lists it
    hub = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "hub"), "DO_NOT_TRACK": "1"}
    small = {"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    return kept | hub | small | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "CUDA_VISIBLE_DEVICES": ""}


def _address(process: subprocess.Popen[bytes], model: str, log: Path) -> str:
    for _ in range(round(START_S / LOOK_S)):
        assert process.poll() is None, f"it ended: {log.read_text('utf-8')[-4000:]}"
        # Not its children's: what they listen on for each other answers nobody, and no end comes.
        for address, port in listening(process.pid):
            url = f"http://{address}:{port}/v1"
            if _answers(url, model):
                return url
        select.select([], [], [], LOOK_S)
    raise AssertionError(f"not ready in {START_S:g} s: {log.read_text('utf-8')[-4000:]}")


def _answers(url: str, model: str) -> bool:
    """Whether it completes a chat: some listen long before."""
    question = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"Content-Type": "application/json"}
    request = Request(f"{url}/chat/completions", json.dumps(question).encode(), headers)
    try:
        with urlopen(request, timeout=60) as answer:
            return "choices" in json.load(answer)
    except (HTTPError, URLError, OSError, ValueError):
        return False
