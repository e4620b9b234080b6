"""The home folder: it keeps people's words, tokens and addresses, so it is for its owner alone.

A user who may write to it could put another database there or read every token. Its owner always
may, so a home of another owner is refused, with one exception: a volume that root handed to a group
that holds no other user (`fsGroup` in Kubernetes). A folder that others may only read is used; the
files in it are for their owner.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from gateway.core.errors import ConfigError
from gateway.core.private_group import Accounts, gid_of

OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
BESIDE_DATABASE = ("", "-wal", "-shm", "-journal")
"""The files from which SQLite takes what a database holds."""


def make(home: Path, group: str = "") -> None:
    """Make sure that it is there, for its owner only, and never in a repository.

    `group` is a group whose members the operator trusts. Raises `ConfigError` for a home that
    cannot be written, that others may write to, or of another owner.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        check(home, group)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write to {home}: {error.strerror}; set TURNGATE_HOME to a folder that can be "
            "written"
        ) from error


def check(home: Path, group: str = "") -> None:
    """Raise `ConfigError` where others may write to it; a folder that is not there is fine.

    Every command that reads a token, an address or the database from a home calls this first.
    """
    if is_foreign(home, group):
        raise ConfigError(
            f"{home} belongs to another user of this machine, who could replace its database and "
            f"token: run turngate as that user, take it over with {taking_over(home)}, or set "
            f"TURNGATE_HOME to a folder of your own{_for_a_volume(home)}"
        )
    if is_open(home, group):
        raise ConfigError(
            f"others on this machine may write to {home}, so they could replace its database and "
            f"token: run {closing(home)}, or set TURNGATE_HOME to a new folder inside it"
            f"{_for_a_volume(home)}"
        )


def check_database(path: Path, group: str = "") -> None:
    """Raise `ConfigError` where another user made the database: its tokens would be accepted."""
    for beside in BESIDE_DATABASE:
        file = Path(f"{path}{beside}")
        try:
            found = file.stat()
        except OSError:
            continue  # not there; a reason why it cannot be read is reported when it is opened
        if found.st_uid != os.geteuid() and not _is_of_trusted_group(found, group):
            raise ConfigError(
                f"{file} belongs to another user of this machine, whose tokens would be accepted: "
                f"run turngate as that user, take it over with {taking_over(file)}, or set "
                "TURNGATE_STORE to another file"
            )


def is_foreign(home: Path, group: str = "") -> bool:
    """Whether it belongs to another user, root included, who did not hand it to our group."""
    if not home.is_dir() or home.stat().st_uid == os.geteuid():
        return False
    return not _is_handed_over(home.resolve(), group)


def is_open(home: Path, group: str = "") -> bool:
    """Whether other users may write to it."""
    if not home.is_dir():
        return False
    found = home.stat()
    return bool(found.st_mode & OTHERS_WRITE) and not _is_of_trusted_group(found, group)


def is_written_by_others(file: Path) -> bool:
    """Whether a user besides this one and root may write to a file; False where it is not there."""
    try:
        found = file.stat()
    except OSError:
        return False
    if _is_of_trusted_group(found, ""):
        return False
    return found.st_uid not in (os.geteuid(), 0) or bool(found.st_mode & OTHERS_WRITE)


def is_readable(path: Path, group: str = "") -> bool:
    """Whether other users may read a file or a folder of ours; False for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return False
    if found.st_uid != os.geteuid() or _is_of_trusted_group(found, group):
        return False  # its owner alone can change that, or it is for the group
    return bool(found.st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def closing(home: Path) -> str:
    """The command that ends it."""
    return f"chmod go-w {shlex.quote(str(home))}"


def taking_over(path: Path) -> str:
    """The command that makes it, and all in it, this user's."""
    return f"chown -R {os.geteuid()} {shlex.quote(str(path))}"


def _is_handed_over(home: Path, group: str) -> bool:
    """Whether root, or this user, put it where it is for a group that is only ours.

    The group alone proves nothing in a place where other users can put folders: one made below a
    set-group-id folder takes its group, and keeps it when it is moved. So every folder above is
    looked at, up to a mount or to one in which only this user and root can put anything.
    """
    if not _is_of_trusted_group(home.stat(), group):
        return False
    for above in (home, *home.parents):
        found = above.stat()
        ours = found.st_uid in (os.geteuid(), 0)
        if ours and above != home and not found.st_mode & OTHERS_WRITE:
            return True
        if not _is_of_trusted_group(found, group):
            return False
        if os.path.ismount(above):
            return True
    return False


def _is_of_trusted_group(found: os.stat_result, group: str) -> bool:
    """Whether it is open to a group that is only ours, or that the operator trusts, and no more."""
    if found.st_mode & stat.S_IWOTH or not found.st_mode & stat.S_IWGRP:
        return False
    if group and gid_of(group) == found.st_gid:
        return True
    return Accounts.of_process().is_only_ours(found.st_gid)


def _for_a_volume(home: Path) -> str:
    found = home.stat()
    if found.st_mode & stat.S_IWOTH or not found.st_mode & stat.S_IWGRP:
        return ""
    return (
        f". On a volume mounted for a group whose members you trust all, set "
        f"TURNGATE_HOME_GROUP={found.st_gid} in the environment"
    )
