"""The home folder: it keeps people's words, tokens and addresses, so it is for its owner alone.

A user who may write into it could put another database there, or send everybody's token elsewhere:
its owner always may, so a home of another owner is refused. A folder that others may only read is
used; the files in it are for their owner.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from gateway.core.errors import ConfigError

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def make(home: Path) -> None:
    """Make sure that it is there, for its owner only, and never in a repository.

    Raises `ConfigError` for one that cannot be written, that others may write to, or of another
    owner.
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
    """Raise `ConfigError` where others may write to it; a folder that is not there is fine.

    Every command that reads a token, an address or the database from a home calls this first.
    """
    if is_foreign(home):
        raise ConfigError(
            f"{home} belongs to another user of this machine, who could replace its database and "
            f"token: run turngate as that user, take it over with {taking_over(home)}, or set "
            "TURNGATE_HOME to a folder of your own"
        )
    if is_open(home):
        raise ConfigError(
            f"others on this machine may write to {home}, so they could replace its database and "
            f"token: run {closing(home)}, or set TURNGATE_HOME to a new folder inside it"
        )


def is_foreign(home: Path) -> bool:
    """Whether it belongs to another user, root included."""
    return home.is_dir() and home.stat().st_uid != os.geteuid()


def is_open(home: Path) -> bool:
    """Whether its group, or everybody, may write to it."""
    return home.is_dir() and bool(home.stat().st_mode & OTHERS_WRITE)


def closing(home: Path) -> str:
    """The command that ends it."""
    return f"chmod go-w {shlex.quote(str(home))}"


def taking_over(home: Path) -> str:
    """The command that makes it, and all in it, this user's."""
    return f"chown -R {os.geteuid()} {shlex.quote(str(home))}"
