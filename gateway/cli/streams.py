"""The standard streams as a command finds them: closed, of another encoding, or broken."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def fit() -> None:
    """Make all three usable, whatever this process was started with.

    A closed one leads nowhere: the next file opened would get its number, and be written to as if
    it were the terminal. A character the encoding lacks is shown escaped instead of raising.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")


def finish(code: int) -> int:
    """Write out what is buffered; the exit code, which is 1 when the reader closed the pipe early.

    Python itself would do this after the last of our code, and print a traceback.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        give_up_output()
        return code or 1
    return code


def give_up_output() -> None:
    """What is still to be written to it would fail once more at the end of the process."""
    with suppress(OSError, ValueError, AttributeError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
