"""The tool `read_file`: text files and folder listings below the agent's own folder.

Reading is bounded and resumable; binary files are refused. What is outside stays outside: see
`jail`.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Collection

from pydantic import Field

from agents.base.models import ToolSpec
from agents.base.tools import TOOL_TIMEOUT_S, Effect, Folder, Identity, ToolContext, ToolResult
from agents.tools import arguments, jail
from gateway.core.errors import ToolError

MAX_BYTES = 256 * 1024
"""Most a single call returns: about what the largest common context window can take at all."""

MAX_ENTRIES = 500
"""Maximum number of names a folder listing shows."""


class ReadFileArguments(arguments.Arguments):
    path: str = Field(
        description="path relative to the agent's own folder; a folder, such as `.`, is listed"
    )
    offset: int = Field(default=0, ge=0, le=2**53, description="first byte to read")
    limit: int = Field(default=MAX_BYTES, ge=4, le=MAX_BYTES, description="most bytes to read")


class ReadFile:
    """Reads what the agent's folder holds."""

    spec: ToolSpec = arguments.spec(
        "read_file",
        "Read a text file below the agent's own folder, or list a folder there.",
        ReadFileArguments,
    )
    effect = Effect.PURE
    timeout_s = TOOL_TIMEOUT_S
    needs_folder = True

    async def run(self, arguments_text: str, context: ToolContext) -> ToolResult:
        wanted = arguments.parse(ReadFileArguments, arguments_text)
        if context.folder is None:
            raise ToolError("This agent has no folder to read from.")
        # Cancelling leaves the thread to finish one bounded read; nothing waits for it.
        return ToolResult(await asyncio.to_thread(_read, context.folder, wanted))


def _read(folder: Folder, wanted: ReadFileArguments) -> str:
    descriptor = jail.open_below(folder, wanted.path)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            return _listing(descriptor, folder.hidden())
        data = os.pread(descriptor, wanted.limit, wanted.offset)
    except OSError as error:
        raise ToolError(f"{wanted.path!r} could not be read.") from error
    finally:
        os.close(descriptor)
    return _text(wanted, data, status.st_size)


def _text(wanted: ReadFileArguments, data: bytes, size: int) -> str:
    if not data:
        if wanted.offset:
            return f"[the file ends before byte {wanted.offset}: it has {size} bytes]"
        return "[the file is empty]"
    end = wanted.offset + len(data)
    more = end < size
    cut = _incomplete_tail(data) if more else 0
    # An offset into the middle of a character shows from the next one on.
    start = _continuation_head(data) if wanted.offset else 0
    try:
        if b"\0" in data:
            raise ValueError("a NUL byte")
        text = data[start : len(data) - cut].decode("utf-8")
    except ValueError as error:
        raise ToolError(f"{wanted.path!r} is not a UTF-8 text file.") from error
    if not more:
        return text
    following = end - cut
    return f"{text}\n[{size - following} more bytes; go on with offset {following}]"


def _continuation_head(data: bytes) -> int:
    """How many bytes at the start belong to a character that began before."""
    count = 0
    while count < min(3, len(data)) and data[count] & 0xC0 == 0x80:
        count += 1
    return count


def _incomplete_tail(data: bytes) -> int:
    """How many bytes at the end belong to a character that goes on after."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 != 0x80:
            length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return back if length > back else 0
    return 0


def _listing(descriptor: int, hidden: Collection[Identity]) -> str:
    with os.scandir(descriptor) as scanned:
        entries = sorted(
            (entry for entry in scanned if not _is_hidden(entry, hidden)),
            key=lambda entry: entry.name,
        )
        names = [
            entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
            for entry in entries[:MAX_ENTRIES]
        ]
    if not names:
        return "[the folder is empty]"
    lines = [name.encode("utf-8", "replace").decode() for name in names]
    if len(entries) > MAX_ENTRIES:
        lines.append(f"[{len(entries) - MAX_ENTRIES} more]")
    return "\n".join(lines)


def _is_hidden(entry: os.DirEntry[str], hidden: Collection[Identity]) -> bool:
    # Through links: the name of one that leads to a hidden file is of no use to the model.
    try:
        return bool(hidden) and jail.identity(entry.stat()) in hidden
    except OSError:
        return False
