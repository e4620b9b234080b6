"""A file is what its name leads to: deleted, moved, replaced and linked ones are told apart."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.store.base.store import Loss
from gateway.store.sqlite.files import Files

SUFFIXES = ("", "-wal", "-shm", ".lock")


@pytest.fixture
def files(path: Path) -> Files:
    for suffix in SUFFIXES:
        Path(f"{path}{suffix}").touch()
    return Files(path)


def delete(file: Path) -> None:
    file.unlink()


def rename(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))


def replace(file: Path) -> None:
    other = file.with_name("other")
    other.touch()
    other.replace(file)


def link(file: Path) -> None:
    file.with_name("second").hardlink_to(file)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("change", "word"),
    [(delete, "deleted"), (rename, "moved"), (replace, "replaced"), (link, "2 names")],
)
def test_each_change_of_each_file_is_seen(
    files: Files, path: Path, suffix: str, change: Callable[[Path], None], word: str
) -> None:
    assert files.lost() is None
    change(Path(f"{path}{suffix}"))
    loss = files.lost()
    assert loss is not None
    assert loss.reason.startswith(f"{path.name}{suffix} ")
    assert word in loss.reason
    assert not loss.final
    at_risk = suffix in ("", "-wal") and change is not link
    assert files.content_moved() is at_risk
    assert files.database_moved() is (at_risk and suffix == "")


def test_what_clients_are_told_has_no_path(files: Files, path: Path) -> None:
    """Where the home is on this machine is its operator's business."""
    path.unlink()
    loss = files.lost()
    assert loss is not None
    assert str(path.parent) not in loss.reason


@pytest.mark.parametrize("again", [False, True])
def test_a_folder_that_went_is_final(
    files: Files, path: Path, tmp_path_factory: pytest.TempPathFactory, again: bool
) -> None:
    """Another folder in its place is another home, and gets nothing of the former."""
    path.parent.rename(tmp_path_factory.mktemp("else") / "where")
    if again:
        path.parent.mkdir()
    assert files.lost() == Loss("the folder of the database was deleted, moved or replaced", True)


def test_files_that_come_back_are_in_their_place(files: Files, path: Path) -> None:
    path.rename(path.with_name("x"))
    assert files.lost() is not None
    path.with_name("x").rename(path)
    assert files.lost() is None


def test_a_file_that_never_was_is_refused(path: Path) -> None:
    path.touch()
    with pytest.raises(StoreUnavailable, match="wal went away"):
        Files(path)
