"""Starts the local model's process for real and stops it again: whether it runs on this machine.

That a package is installed says little: a library of the system may be missing that it needs.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from agents.models.local_child import NotStarted, Order, Start, start_child
from gateway.core.clock import Clock

NO_ENGINE = (
    "llama.cpp, which runs it, is not installed (the package xllamacpp): there are wheels for "
    "Linux with glibc 2.35 on x86-64 and arm64, and for macOS 13; anywhere else set LLM_BASE_URL, "
    "LLM_MODEL and LLM_API_KEY to a model server"
)
NOT_LOADED = "llama.cpp is installed, but a library it needs is not: {detail}; {fix}"
GOMP = "run: pip install cmeel-libomp, or on Debian: apt install libgomp1"
OTHER_MODEL = "set LLM_BASE_URL, LLM_MODEL and LLM_API_KEY to a model server"
OTHER = f"install that library, or {OTHER_MODEL}"
WINDOW = 64


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a start: `problem` is a sentence with the next step, empty when it runs; `held`
    is the gateway that runs it already, empty when none does."""

    problem: str = ""
    held: str = ""


async def try_start(
    weights: Path | None, *, key: str, clock: Clock, start: Start = start_child
) -> Trial:
    """Start it with these weights; with None as far as loading the library. Cancelling leaves no
    process behind."""
    with tempfile.TemporaryDirectory() as folder:
        path = weights or Path(folder, "none")
        order = Order(path, "trial", path.with_name("local.lock"), WINDOW, parallel=1, threads=1)
        try:
            child = await start(order, key=key, clock=clock)
        except NotStarted as error:
            return _judged(error, loaded_enough=weights is None)
        await child.stop(clock)
        return Trial()


def _judged(error: NotStarted, *, loaded_enough: bool) -> Trial:
    match error.problem:
        case "busy":
            return Trial(held=error.detail)
        case "missing":
            return Trial(NO_ENGINE)
        case "unloadable":
            fix = GOMP if "libgomp" in error.detail else OTHER
            return Trial(NOT_LOADED.format(detail=error.detail, fix=fix))
        case "failed" if loaded_enough:
            return Trial()  # the library is there, and asks for the weights
        case _:
            return Trial(f"its process does not start: {error.detail}; {OTHER_MODEL}")
