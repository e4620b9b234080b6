"""How far a long fetch is: a bar on a terminal, a line at the start and at the end otherwise."""

from __future__ import annotations

from typing import TextIO

import click

WIDTH = 30
MEGA = 1_000_000


class FetchProgress:
    """`agents.models.fetching.Progress`, on a stream that may be a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bar = stream.isatty()
        self._shown = ""

    def __call__(self, done: int, total: int) -> None:
        """Show it, if there is anything new to say."""
        if self._bar:
            full = WIDTH * done // total
            bar = f"[{'#' * full}{' ' * (WIDTH - full)}]"
            line = f"\rturngate: fetching the local model {bar} {100 * done // total:3d} %"
            self._say(line + ("\n" if done >= total else ""))
        elif done >= total:
            self._say("turngate: the local model is fetched\n")
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
