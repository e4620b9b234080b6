"""How far something long is: on a terminal one line that changes, otherwise a line said once."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TextIO

import click

from gateway.core.clock import Clock, SystemClock
from gateway.core.tasks import Ending, TaskOwner
from gateway.core.terminal import redraws

WIDTH = 30
MEGA = 1_000_000
QUIET_S = 10
"""How long a wait may take before it is worth a line in somebody's log."""
CLEAR = "\x1b[K"
"""Erases the rest of a terminal's line."""


class FetchProgress:
    """`agents.models.fetching.Progress`, on a stream that may be a terminal.

    With a `prompt` somebody types on it meanwhile: instead of a bar each end is said on a line of
    its own, and the prompt is shown again.
    """

    def __init__(self, stream: TextIO, *, prompt: str = "") -> None:
        self._stream = stream
        self._bar = redraws(stream, os.environ) and not prompt
        self._prompt = prompt
        self._shown = ""

    def __call__(self, done: int, total: int) -> None:
        """Show it, if there is anything new to say."""
        if self._bar:
            full = WIDTH * done // total
            bar = f"[{'#' * full}{' ' * (WIDTH - full)}]"
            line = f"\rturngate: fetching the local model {bar} {100 * done // total:3d} %"
            self._say(line + ("\n" if done >= total else ""))
        elif done >= total:
            erase = f"\r{CLEAR}" if self._prompt else ""
            self._say(f"{erase}turngate: the local model is fetched\n{self._prompt}")
        elif not self._shown:
            self._say(f"turngate: fetching the local model, {round(total / MEGA)} MB, once\n")

    def end(self) -> None:
        """What is said next begins on a line of its own."""
        if self._bar and self._shown and not self._shown.endswith("\n"):
            self._say("\n")

    def _say(self, text: str) -> None:
        if text != self._shown:
            self._shown = text
            click.echo(text, file=self._stream, nl=False)


def copied(what: str) -> Callable[[int, int], None]:
    """Hears how much of how many is copied: a line that changes on a terminal, else one line."""
    shown = -1

    def progress(done: int, total: int) -> None:
        nonlocal shown
        tenth = 10 if total == 0 else done * 10 // total
        if tenth <= shown:
            return
        if redraws(sys.stderr, os.environ):
            ending = "\n" if tenth == 10 else ""
            line = f"\r{CLEAR}turngate: {done} of {total} {what}{ending}"
            click.echo(line, nl=False, err=True)
        elif shown < 0:
            click.echo(f"turngate: copying {total} {what}", err=True)
        shown = tenth

    return progress


@contextmanager
def counted(what: str, total: int, *, shown: bool) -> Iterator[Callable[[], None]]:
    """`what 3/16` on a terminal while the block calls what it is given; gone at its end."""
    done = 0
    terminal = shown and redraws(sys.stderr, os.environ)

    def step() -> None:
        nonlocal done
        if terminal:
            click.echo(f"\r{CLEAR}turngate: {what} {done}/{total}", nl=False, err=True)
        done += 1

    try:
        step()
        yield step
    finally:
        if terminal:
            click.echo(f"\r{CLEAR}", nl=False, err=True)


@asynccontextmanager
async def waited(what: str, *, clock: Clock | None = None) -> AsyncIterator[None]:
    """`what 3 s` on a terminal once the block takes longer than a second; gone at its end.

    Elsewhere it is said once, after `QUIET_S`.
    """
    terminal, clock = redraws(sys.stderr, os.environ), clock or SystemClock()
    owner = TaskOwner("progress", _never)
    owner.start(
        "tick", _tick(what, clock) if terminal else _once(what, clock), ending=Ending.CANCELLABLE
    )
    try:
        yield
    finally:
        await owner.close()
        if terminal:
            click.echo(f"\r{CLEAR}", nl=False, err=True)


async def _tick(what: str, clock: Clock) -> None:
    for seconds in itertools.count(1):
        await clock.sleep(1)
        click.echo(f"\r{CLEAR}turngate: {what} {seconds} s", nl=False, err=True)


async def _once(what: str, clock: Clock) -> None:
    await clock.sleep(QUIET_S)
    click.echo(f"turngate: {what} …", err=True)


def _never(name: str, error: BaseException) -> None:
    raise AssertionError("counting seconds does not fail") from error
