"""Doing what a page tells its reader to do, in a folder of its own, block after block.

A `console` block is run: lines with `$ ` are commands of one shell, the others what they show.
`console tty` is typed into a terminal. A block with `file=` is saved. A `python` block is run, and
a `text output` block right behind it is what it prints. Everything else is only read.
"""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.docs.pages import Block
from tests.docs.sameness import differences
from tests.support.patience import PATIENCE_S

MARK = "\x1e"
"""Printed between two commands, to tell whose output is whose."""
INPUT = "> "
MAKE = {"make run": "turngate up", "make chat": "turngate chat"}
"""What targets do once everything is installed; a test compares it with the Makefile."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a block types, and what it shows of that."""

    line: str
    shown: str


def play(block: Block, following: Block | None, folder: Path) -> list[str]:
    """What a page says wrongly about this block; writing files counts as right."""
    if block.file:
        path = folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")
        return []
    if block.language == "console":
        if "tty" in block.flags:
            return differences(_screen_of(block), _type(block, folder))
        return _run(block, folder)
    if block.language == "python":
        shows = following is not None and following.info == ("text", "output")
        return _execute(block.text, following.text if shows and following else "", folder)
    return []


def commands(text: str) -> list[Command]:
    """The commands of a console block with what each shows."""
    found: list[Command] = []
    for piece in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, _, shown = piece.partition("\n")
        found.append(Command(line, shown))
    return found


def environment(folder: Path) -> dict[str, str]:
    """Nothing of the developer's own settings, and `turngate` on the path."""
    bin_folder = Path(sys.executable).parent
    return {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        # What the first page asks its reader to set: nobody can say what a real model will answer.
        "TURNGATE_MODEL": "scripted",
    }


def _run(block: Block, folder: Path) -> list[str]:
    typed = commands(block.text)
    script = "".join(
        f"{command.line}\n_status=$?; printf '{MARK}'; (exit $_status)\n" for command in typed
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    real = done.stdout.split(MARK)
    return [
        f"`{command.line}`: {problem}"
        for command, output in zip(typed, real, strict=False)
        for problem in differences(command.shown, output, unordered="unordered" in block.flags)
    ]


def _execute(source: str, shown: str, folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if done.returncode:
        return [f"the snippet failed: {done.stderr}"]
    return differences(shown, done.stdout)


# --- a terminal ----------------------------------------------------------------------------------


def _screen_of(block: Block) -> str:
    """The block without the command that starts it."""
    return block.text.partition("\n")[2]


def _type(block: Block, folder: Path) -> str:
    """Type the lines with a prompt, each when the screen is where the page says it is."""
    [start] = commands(block.text)
    line = MAKE.get(start.line, start.line)
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        line.split(),
        cwd=folder,
        env=environment(folder),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        screen = Screen(ours)
        lines = start.shown.splitlines()
        for number, typed in enumerate(lines):
            if typed.startswith(INPUT):
                screen.wait_for_prompt(after=number)
                os.write(ours, typed.removeprefix(INPUT).encode() + b"\n")
        screen.wait_for_end()
        child.wait(PATIENCE_S)
        return screen.text()
    finally:
        child.kill()
        child.wait()
        os.close(ours)


class Screen:
    """What a person sees: carriage returns and erased lines are applied, colours are dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._raw = b""
        self._ended = False

    def text(self) -> str:
        """The lines so far."""
        text = self._raw.decode("utf-8", "replace").replace("\r\n", "\n")
        text = re.sub(r"\x1b\[[0-9;]*m", "", text)
        return "\n".join(line.rpartition("\r\x1b[K")[2] for line in text.split("\n"))

    def wait_for_prompt(self, *, after: int) -> None:
        """Until `after` lines are there and the next one is a prompt."""
        while True:
            lines = self.text().split("\n")
            if len(lines) > after and lines[-1] == INPUT:
                return
            if not self._more():
                return

    def wait_for_end(self) -> None:
        """Until the other side is gone."""
        while self._more():
            pass

    def _more(self) -> bool:
        """Read on; false at the end, and when nothing comes for too long."""
        ready, _, _ = select.select([self._descriptor], [], [], PATIENCE_S)
        if not ready or self._ended:
            return False
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:  # Linux says so when the last holder of the other side has gone
            data = b""
        self._raw += data
        self._ended = not data
        return not self._ended
