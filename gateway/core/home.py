"""The home folder: it keeps people's words, tokens and addresses, so it is for its owner alone.

Whoever may write into it could put another database there, or send everybody's token elsewhere. A
folder that others may only read is used; the files in it are for their owner.
"""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from gateway.core.errors import ConfigError

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make(home: Path) -> None:
    """Make sure that it is there, for its owner only, and never in a repository.

    Raises `ConfigError` for one that cannot be written, or that others may write to.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        check(home)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write to {home}: {error.strerror}; set TURNGATE_HOME to a folder that can be "
            "written"
        ) from error


def check(home: Path) -> None:
    """Raise `ConfigError` where others may write to it; a folder that is not there is fine."""
    if is_open(home):
        raise ConfigError(
            f"others on this machine may write to {home}, so they could replace its database and "
            f"token: run {closing(home)}, or set TURNGATE_HOME to a new folder inside it"
        )


def is_open(home: Path) -> bool:
    """Whether its group, or everybody, may write to it."""
    return home.is_dir() and bool(home.stat().st_mode & OTHERS_WRITE)


def closing(home: Path) -> str:
    """The command that ends it."""
    return f"chmod go-w {shlex.quote(str(home))}"
