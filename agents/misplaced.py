"""Files that look like the declaration of an agent and stand where none is read.

`agent.md` in small letters, `agents/` without its dot, or an AGENT.md one folder too high or too
low would otherwise be passed over, and a plain agent would answer without a word. Looks only: each
finding is a warning with the command that mends it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from agents.workspace import AGENT_FILE, AGENTS_DIR, Problem

MAX_ENTRIES = 1000
"""Most entries of one folder that are looked at: a workspace may be a folder of something else."""

_ALIKE_FILES = frozenset(("agent.md", "agents.md", "agent.markdown", "agent.txt"))
_ALIKE_DIRS = frozenset(("agents", ".agents", ".agent", "agent"))


def misplaced(root: Path) -> Iterator[Problem]:
    """A warning for each such file of a workspace. Never raises for what is there."""
    yield from _directly_in(root, root)
    for folder in _folders(root):
        if folder.name == AGENTS_DIR:
            yield from _directly_in(root, folder)
            for each in _folders(folder):
                yield from _in_agent(root, each)
        elif folder.name.casefold() in _ALIKE_DIRS:
            if any(_declared(each) for each in (folder, *_folders(folder))):
                yield _move(folder, root / AGENTS_DIR, f"agents are declared below {AGENTS_DIR}")
        elif file := _exact(folder):
            why = f"{AGENT_FILE} is one level too high"
            yield _move(file.parent, _place(root, folder.name), why)


def _directly_in(root: Path, folder: Path) -> Iterator[Problem]:
    """A file that belongs one or two folders further down."""
    if file := _exact(folder):
        yield _move(file, _place(root, "main") / AGENT_FILE, "an agent needs a folder of its own")


def _in_agent(root: Path, folder: Path) -> Iterator[Problem]:
    """What stands in the folder of an agent that is none, for want of the file."""
    if _exact(folder):
        return
    if file := _declared(folder):
        yield _move(file, folder / AGENT_FILE, f"the file is called {AGENT_FILE}")
        return
    for each in _folders(folder):
        if _exact(each):
            yield _move(each, _place(root, each.name), f"{AGENT_FILE} is one level too low")


def _place(root: Path, name: str) -> Path:
    return root / AGENTS_DIR / name


def _move(source: Path, target: Path, why: str) -> Problem:
    paths = f"{shlex.quote(str(source))} {shlex.quote(str(target))}"
    made = "" if target.parent.is_dir() else f"mkdir -p {shlex.quote(str(target.parent))} && "
    return Problem(source, f"it is not read: {why}; {made}mv {paths}")


def _exact(folder: Path) -> Path | None:
    return next((each for each in _files(folder) if each.name == AGENT_FILE), None)


def _declared(folder: Path) -> Path | None:
    """A file that was meant to declare an agent; the right one first."""
    alike = [each for each in _files(folder) if each.name.casefold() in _ALIKE_FILES]
    return min(alike, key=lambda each: each.name != AGENT_FILE, default=None)


def _files(folder: Path) -> list[Path]:
    return [folder / entry.name for entry in _entries(folder) if entry.is_file()]


def _folders(folder: Path) -> list[Path]:
    return [folder / entry.name for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(islice(entries, MAX_ENTRIES), key=lambda entry: entry.name)
    except OSError:
        return []
