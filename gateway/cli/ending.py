"""How a command ends when something was raised: one sentence on stderr and an exit code.

What was raised on purpose says itself what to do. An error of the system is told in its words with
the file it is about. Anything else is a bug: its traceback goes to a file, under an id.
"""

from __future__ import annotations

import errno
import os
import sys

import click

from gateway.cli.streams import give_up_output
from gateway.cli.visible import fitted, visible
from gateway.core.errors import Bug, InvalidInput, TurngateError, describe

IO_FAILED = 74
"""EX_IOERR of sysexits.h: something cannot be read or written, the output perhaps."""
BUG = 70
"""EX_SOFTWARE: the program is wrong, whatever it was given."""
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells say it."""


def told(error: BaseException) -> int:
    """Say in one sentence why the command ended; its exit code."""
    error = _first(error)
    if type(error).__name__ == "CancelledError":  # asyncio's, which is slow to import
        return INTERRUPTED
    match error:
        case KeyboardInterrupt():
            return INTERRUPTED
        case Bug():
            return _incident(error)
        case TurngateError():
            _say(str(error))
            return describe(error).exit_code
        case BrokenPipeError():
            give_up_output()  # the reader has enough and wants no word about it
            return 1
        case OSError():
            _say(_os_error(error))
            if not error.filename:
                give_up_output()
            return IO_FAILED
        case _:
            return _incident(error)


def check_words(words: list[str]) -> None:
    """Raise `InvalidInput` for an argument that is no text: it could not be sent or shown.

    Python keeps bytes that are not UTF-8 as surrogates, which nothing beyond this point takes.
    """
    for number, word in enumerate(words, 1):
        if not _is_text(word):
            raise InvalidInput(
                f"argument {number} is not UTF-8 text: {visible(ascii(word))}; rename the file, or "
                "type it again"
            )


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in word


def _first(error: BaseException) -> BaseException:
    """Of several that were raised together, the one that was meant to be read."""
    while isinstance(error, BaseExceptionGroup):
        inner = error.exceptions
        error = next((each for each in inner if isinstance(each, TurngateError)), inner[0])
    return error


def _os_error(error: OSError) -> str:
    said = error.strerror or str(error) or type(error).__name__
    if error.filename:
        return f"{said}: {_name(error.filename)}; is it there, and may you use it?"
    if error.errno == errno.ENOENT and not _has_folder():
        return "the folder this was started in is gone; change to one that is there"
    return (
        f"{said}, while reading or writing; look at where the output goes, and at free space (df)"
    )


def _name(filename: object) -> str:
    return os.fsdecode(filename) if isinstance(filename, str | bytes) else str(filename)


def _has_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _incident(error: BaseException) -> int:
    from gateway.cli.incidents import record  # noqa: PLC0415 - slow to import, needed only here

    incident, file = record(error)
    where = f"; {file} says more" if file else ""
    _say(f"something went wrong inside turngate, which is a bug (incident {incident}){where}")
    return BUG


def _say(sentence: str) -> None:
    click.echo(fitted(f"turngate: {visible(sentence)}", 0, sys.stderr), err=True)
