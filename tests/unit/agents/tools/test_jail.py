"""Paths a model may come up with by itself, or be talked into."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.base.tools import Folder
from agents.tools import jail
from gateway.core.errors import ToolError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """`/safe` with something to read, `/safevil` beside it with something not to."""
    safe, evil = tmp_path / "safe", tmp_path / "safevil"
    for folder in (safe, evil):
        (folder / "sub").mkdir(parents=True)
        (folder / "file.txt").write_text(folder.name)
        (folder / "sub" / "deep.txt").write_text(folder.name)
    return safe


@contextmanager
def opened(root: Path, path: str) -> Iterator[int]:
    before = len(os.listdir("/dev/fd"))
    descriptor = jail.open_below(Folder(root), path)
    assert len(os.listdir("/dev/fd")) == before + 1
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def refusal(root: Path, path: str) -> str:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(ToolError) as error:
        jail.open_below(Folder(root), path)
    assert len(os.listdir("/dev/fd")) == before, "a descriptor was left open"
    return str(error.value)


@pytest.mark.parametrize(
    "path", ["file.txt", "./file.txt", "sub/deep.txt", "sub//deep.txt", "sub/./deep.txt"]
)
def test_files_below_the_root_are_opened(root: Path, path: str) -> None:
    with opened(root, path) as descriptor:
        assert os.read(descriptor, 100) == b"safe"


@pytest.mark.parametrize("path", [".", "./", "sub", "sub/"])
def test_folders_are_opened_too(root: Path, path: str) -> None:
    with opened(root, path) as descriptor:
        assert os.listdir(descriptor)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("/etc/passwd", "absolute"),
        ("//etc/passwd", "absolute"),
        ("C:/windows", "absolute"),
        ("c:file.txt", "absolute"),
        ("..", "`..`"),
        ("../safevil/file.txt", "`..`"),
        ("sub/../../safevil/file.txt", "`..`"),
        ("sub/..", "`..`"),
        ("..\\safevil\\file.txt", "backslash"),
        ("sub\\deep.txt", "backslash"),
        ("\\\\host\\share", "backslash"),
        ("file.txt\0.png", "control character"),
        ("file\n.txt", "control character"),
        ("a" * 256, "longer than 255 bytes"),
        ("ä" * 128, "longer than 255 bytes"),
        ("a/" * 600, "longer than 1024 characters"),
        # Nothing is decoded: these are names, of files that do not exist.
        ("%2e%2e/safevil/file.txt", "no file"),
        ("..%2fsafevil%2ffile.txt", "no file"),
        ("\uff0e\uff0e/safevil/file.txt", "no file"),
        ("\u2024\u2024/safevil/file.txt", "no file"),
        ("..\u2215safevil\u2215file.txt", "no file"),
        ("..\uff0fsafevil\uff0ffile.txt", "no file"),
        ("~/file.txt", "no file"),
        ("$HOME/file.txt", "no file"),
        ("...", "no file"),
        (".. ", "no file"),
        ("\ud800", "no file"),
        ("nowhere.txt", "no file"),
        ("FILE.TXT.x", "no file"),
        ("file.txt/deep.txt", "not a folder"),
        ("file.txt/.", None),
    ],
)
def test_paths_that_lead_astray_are_refused(root: Path, path: str, says: str | None) -> None:
    if says is None:  # `.` names the thing itself: harmless, and the same file
        with opened(root, path) as descriptor:
            assert os.read(descriptor, 100) == b"safe"
        return
    assert says in refusal(root, path)


@pytest.mark.parametrize("target", ["../safevil/file.txt", "/etc/passwd", "file.txt", "nowhere"])
def test_a_link_is_not_followed_wherever_it_leads(root: Path, target: str) -> None:
    (root / "link").symlink_to(target)
    assert "symbolic link" in refusal(root, "link")


@pytest.mark.parametrize("target", ["../safevil/sub", "sub", "/"])
def test_a_link_on_the_way_is_not_followed_either(root: Path, target: str) -> None:
    (root / "way").symlink_to(target)
    assert "symbolic link" in refusal(root, "way/deep.txt")
    assert "symbolic link" in refusal(root, "way/")


def test_the_root_itself_may_be_a_link(root: Path) -> None:
    (root.parent / "alias").symlink_to(root)
    with opened(root.parent / "alias", "file.txt") as descriptor:
        assert os.read(descriptor, 100) == b"safe"


def test_a_folder_swapped_for_a_link_on_the_way_leads_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race a check of the whole path would lose: the swap comes between two steps."""
    real = os.open

    def swapping(path: str | Path, flags: int, **more: int) -> int:
        descriptor = real(path, flags, **more)
        if path == root.resolve():
            (root / "sub").rename(root / "old")
            (root / "sub").symlink_to(root.parent / "safevil" / "sub")
        return descriptor

    monkeypatch.setattr(os, "open", swapping)
    with pytest.raises(ToolError, match="symbolic link"):
        jail.open_below(Folder(root), "sub/deep.txt")


def test_a_folder_moved_after_it_was_opened_stays_the_one_that_was_checked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def swapping(path: str | Path, flags: int, **more: int) -> int:
        if path == "deep.txt":
            (root / "sub").rename(root / "old")
            (root / "sub").symlink_to(root.parent / "safevil" / "sub")
        return real(path, flags, **more)

    monkeypatch.setattr(os, "open", swapping)
    descriptor = jail.open_below(Folder(root), "sub/deep.txt")
    assert os.read(descriptor, 100) == b"safe"
    os.close(descriptor)


def test_what_the_folder_hides_is_not_there(root: Path) -> None:
    """A file, a folder with all below it, a hard link, and the root; listed as if it were not."""
    os.link(root.parent / "safevil" / "file.txt", root / "hard")

    def refused(path: str, *hidden: Path) -> str:
        folder = Folder(root, lambda: frozenset(jail.identity(each.stat()) for each in hidden))
        with pytest.raises(ToolError) as error:
            jail.open_below(folder, path)
        return str(error.value)

    absent = "There is no file {!r}; read `.` to see what is there.".format
    assert refused("file.txt", root / "file.txt") == absent("file.txt") == refused("file.txt", root)
    assert refused("hard", root.parent / "safevil" / "file.txt") == absent("hard")
    assert refused("sub/deep.txt", root / "sub") == absent("sub/deep.txt")
    assert refused("sub", root / "sub") == absent("sub")


def test_a_pipe_is_refused_without_waiting_for_a_writer(root: Path) -> None:
    os.mkfifo(root / "pipe")
    assert "neither a file nor a folder" in refusal(root, "pipe")


def test_a_socket_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock")
        assert "neither a file nor a folder" in refusal(root, "sock")


def test_a_device_is_refused() -> None:
    assert "neither a file nor a folder" in refusal(Path("/dev"), "null")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.EACCES, "may not be read"),
        (errno.EPERM, "may not be read"),
        (errno.ENXIO, "neither a file nor a folder"),
        (errno.EIO, "cannot be opened (EIO)"),
        (errno.EMFILE, "cannot be opened (EMFILE)"),
    ],
)
def test_what_the_system_refuses_says_so(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    real = os.open

    def refusing(path: str | Path, flags: int, **more: int) -> int:
        if path == "file.txt":
            raise OSError(code, "no")
        return real(path, flags, **more)

    monkeypatch.setattr(os, "open", refusing)
    assert says in refusal(root, "file.txt")


def test_a_root_that_is_gone_is_said_plainly(root: Path) -> None:
    message = refusal(root / "nowhere", "file.txt")
    assert message == "The agent's own folder cannot be opened."


def test_a_refusal_does_not_tell_where_the_root_is(root: Path) -> None:
    for path in ("nowhere", "file.txt/x", "..", "/etc"):
        assert str(root.parent) not in refusal(root, path)
