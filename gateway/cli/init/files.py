"""The files of a first workspace, and putting them down without touching what is there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agents.base.identities import FIRST_AGENT
from gateway.core.errors import ConfigError

AGENT = f"""\
---
# May also stand here: model, fallback_models, dm_scope, denied_tools, max_tokens, temperature
name: main
---
{FIRST_AGENT}
"""
ROUTES = """\
{
  "default_agent": "main",
  "bindings": []
}
"""
IGNORES = (".env", ".turngate/")


@dataclass(frozen=True, slots=True)
class Put:
    """What became of the files, by their paths."""

    made: tuple[Path, ...]
    kept: tuple[Path, ...]


def workspace_files(workspace: Path) -> dict[Path, str]:
    """One agent that answers, and a route file to add rules to."""
    return {
        workspace / ".agents" / "main" / "AGENT.md": AGENT,
        workspace / "routes.json": ROUTES,
    }


def put(files: Mapping[Path, str], *, secret: Iterable[Path] = ()) -> Put:
    """Write what is not there yet; a file that is there is kept, whatever it holds.

    Raises `ConfigError` where something cannot be written; what was written until then stays.
    """
    made: list[Path] = []
    kept: list[Path] = []
    private = set(secret)
    for path, text in files.items():
        try:
            _make_folder(path.parent)
            mode = 0o600 if path in private else 0o666
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            kept.append(path)
            continue
        except OSError as error:
            raise ConfigError(
                f"cannot write {path}: {error.strerror}; is that folder yours to write?"
            ) from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        made.append(path)
    return Put(tuple(made), tuple(kept))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:  # a file in its way, which is another matter than one to keep
        raise NotADirectoryError(error.errno, "a file is in its way", str(folder)) from error


def missing_ignores(folder: Path) -> tuple[str, ...]:
    """Lines that an existing `.gitignore` should have and has not."""
    try:
        lines = {
            line.strip().rstrip("/") for line in (folder / ".gitignore").read_text().split("\n")
        }
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(line for line in IGNORES if line.rstrip("/") not in lines)
