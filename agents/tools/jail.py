"""Opening a file for reading below a folder, never outside it, also under concurrent renames.

The path is walked a component at a time, each opened relative to the folder before it and never
through a symbolic link, so there is no moment between a check and its use in which an attacker
could swap a folder for a link. Links are refused even where they stay inside: whether they do can
change at any time. Nothing is decoded: `%2e%2e` and look-alikes of the slash are ordinary names.
What the folder hides is recognised by device and inode, so no hard link, mount or other spelling
reaches it, and it is reported as a file that does not exist.
"""

from __future__ import annotations

import errno
import os
import stat

from agents.base.tools import Folder, Identity
from gateway.core.errors import ToolError

MAX_PATH_CHARS = 1024
"""Longest path accepted; what Linux and macOS both take."""

MAX_NAME_BYTES = 255
"""Longest name of one file on every common file system."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a pipe nobody writes to would wait for ever.
_ANYTHING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def components(path: str) -> tuple[str, ...]:
    """The names along a relative path; raises `ToolError` for any path that could lead astray."""
    if not path.strip():
        raise ToolError("The path is empty; use `.` for the agent's own folder.")
    if len(path) > MAX_PATH_CHARS:
        raise ToolError(f"The path is longer than {MAX_PATH_CHARS} characters.")
    if any(ord(char) < 32 or ord(char) == 127 for char in path):
        raise ToolError("The path holds a control character.")
    if "\\" in path:
        raise ToolError("The path holds a backslash; separate folders with `/`.")
    if path.startswith("/") or path[1:2] == ":":
        raise ToolError("The path is absolute; use one relative to the agent's own folder.")
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    if ".." in names:
        raise ToolError("The path holds `..`; only files below the agent's own folder can be read.")
    if any(len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES for name in names):
        raise ToolError(f"A name in the path is longer than {MAX_NAME_BYTES} bytes.")
    return names


def identity(status: os.stat_result) -> Identity:
    """Which file it is, whatever its name."""
    return status.st_dev, status.st_ino


def open_below(folder: Folder, path: str) -> int:
    """A file descriptor of the regular file or folder at `path`; the caller closes it.

    Blocks on the file system: call it in a thread. Raises `ToolError`.
    """
    names = components(path)
    try:
        # The root is the operator's choice and may be reached through links.
        current = os.open(folder.root.resolve(), _FOLDER)
    except OSError as error:
        raise ToolError("The agent's own folder cannot be opened.") from error
    walked = [identity(os.fstat(current))]
    try:
        for position, name in enumerate(names):
            last = position == len(names) - 1
            below = os.open(name, _ANYTHING if last else _FOLDER, dir_fd=current)
            os.close(current)
            current = below
            walked.append(identity(os.fstat(current)))
        # Asked after the walk: what was replaced meanwhile is hidden under its new inode, too.
        if not folder.hidden().isdisjoint(walked):
            raise ToolError(_absent(path))
        kind = os.fstat(current).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise ToolError(f"{path!r} is neither a file nor a folder.")
    except (OSError, UnicodeEncodeError) as error:
        os.close(current)
        raise ToolError(_reason(path, error)) from error
    except ToolError:
        os.close(current)
        raise
    return current


def _absent(path: str) -> str:
    return f"There is no file {path!r}; read `.` to see what is there."


def _reason(path: str, error: OSError | UnicodeEncodeError) -> str:
    code = error.errno if isinstance(error, OSError) else errno.ENOENT
    match code:
        case errno.ENOENT:
            return _absent(path)
        case errno.ELOOP | errno.EMLINK:
            return f"{path!r} is a symbolic link; links are not followed."
        case errno.ENOTDIR:
            # What O_DIRECTORY with O_NOFOLLOW says of a link, too.
            return f"A part of {path!r} before the last is not a folder, or is a symbolic link."
        case errno.EACCES | errno.EPERM:
            return f"{path!r} may not be read."
        case errno.ENXIO | errno.ENODEV:
            return f"{path!r} is neither a file nor a folder."
        case _:
            return f"{path!r} cannot be opened ({errno.errorcode.get(code or 0, 'unknown error')})."
