from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.base.tools import Folder, ToolContext
from agents.tools import read_file
from agents.tools.read_file import MAX_BYTES, MAX_ENTRIES, ReadFile, ReadFileArguments
from gateway.core.clock import ManualClock
from gateway.core.errors import ToolError
from gateway.core.ids import AgentId


async def read(root: Path, path: str, **more: object) -> str:
    context = ToolContext(AgentId("main"), Folder(root), ManualClock(), "key")
    result = await ReadFile().run(json.dumps({"path": path, **more}), context)
    assert not result.is_error
    return result.text


async def test_a_text_file_is_returned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("grüß\r\nGott 🌍\n", "utf-8", newline="")
    assert await read(tmp_path, "a.md") == "grüß\r\nGott 🌍\n"


async def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.md").touch()
    assert await read(tmp_path, "a.md") == "[the file is empty]"
    assert await read(tmp_path, "a.md", offset=5) == (
        "[the file ends before byte 5: it has 0 bytes]"
    )


async def test_a_long_file_is_cut_and_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x" * (MAX_BYTES + 10))
    text = await read(tmp_path, "a.md")
    assert text == "x" * MAX_BYTES + f"\n[10 more bytes; go on with offset {MAX_BYTES}]"
    assert await read(tmp_path, "a.md", offset=MAX_BYTES) == "x" * 10


async def test_a_part_is_read_by_offset_and_limit(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("0123456789")
    assert await read(tmp_path, "a.md", offset=3, limit=4) == (
        "3456\n[3 more bytes; go on with offset 7]"
    )


@settings(deadline=None)  # a busy machine is no finding
@given(st.text(max_size=60), st.integers(4, 9))
def test_reading_on_gives_the_whole_text_whatever_its_characters(text: str, limit: int) -> None:
    data = text.encode("utf-8", "ignore").replace(b"\0", b"")
    whole, offset = "", 0
    while offset < len(data):
        wanted = ReadFileArguments(path="a", offset=offset, limit=limit)
        shown = read_file._text(wanted, data[offset : offset + limit], len(data))  # noqa: SLF001 - the pure half
        if offset + limit >= len(data):
            whole, offset = whole + shown, len(data)
        else:
            shown, _, following = shown.rpartition("\n[")
            whole += shown
            assert int(following.split()[-1].rstrip("]")) > offset
            offset = int(following.split()[-1].rstrip("]"))
    assert whole == data.decode()


async def test_an_offset_within_a_character_shows_from_the_next(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("ä€🌍z", "utf-8")
    assert await read(tmp_path, "a.md", offset=1) == "€🌍z"
    assert await read(tmp_path, "a.md", offset=6) == "z"


@pytest.mark.parametrize("data", [b"\x00\x01\x02", b"\xff\xfe", b"abc\xe4def", b"\x80" * 9])
async def test_what_is_no_text_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.bin").write_bytes(data)
    with pytest.raises(ToolError, match="not a UTF-8 text file"):
        await read(tmp_path, "a.bin")


async def test_a_folder_is_listed_in_order(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "Z.md"):
        (tmp_path / name).touch()
    (tmp_path / "memory").mkdir()
    (tmp_path / "link").symlink_to("/etc")
    assert await read(tmp_path, ".") == "Z.md\na.md\nb.md\nlink\nmemory/"
    assert await read(tmp_path, "memory") == "[the folder is empty]"


async def test_a_crowded_folder_is_listed_in_part(tmp_path: Path) -> None:
    for number in range(MAX_ENTRIES + 2):
        (tmp_path / f"{number:04}").touch()
    lines = (await read(tmp_path, ".")).splitlines()
    assert len(lines) == MAX_ENTRIES + 1
    assert lines[-1] == "[2 more]"


async def test_names_that_are_no_text_do_not_break_the_listing(tmp_path: Path) -> None:
    (tmp_path / "ok").touch()
    (tmp_path / b"\xff".decode("utf-8", "surrogateescape")).touch()
    listing = (await read(tmp_path, ".")).encode("utf-8")
    assert b"ok" in listing.splitlines()
    assert len(listing.splitlines()) == 2


async def test_what_lies_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "safe").mkdir()
    (tmp_path / "secret").write_text("key")
    for path in ("../secret", str(tmp_path / "secret")):
        with pytest.raises(ToolError):
            await read(tmp_path / "safe", path)


@pytest.mark.parametrize(
    "more", [{"limit": 3}, {"limit": MAX_BYTES + 1}, {"offset": -1}, {"offset": 2**60}]
)
async def test_bounds_cannot_be_talked_away(tmp_path: Path, more: dict[str, int]) -> None:
    with pytest.raises(ToolError, match="Wrong arguments"):
        await read(tmp_path, ".", **more)
