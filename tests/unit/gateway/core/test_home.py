"""The home folder on a real disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.core import home
from gateway.core.errors import ConfigError
from gateway.core.private_group import Accounts

OTHER = 12_345
"""A user who is not this process, as owner."""
SHARED = 23_456
"""A group of this process that another user is in, too."""
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> int:
    """The group of a volume, which holds this process alone."""
    gid = 34_567
    users = {"alice": (OTHER, OTHER)}
    groups = {SHARED: frozenset(("alice",))}
    found = Accounts(os.geteuid(), frozenset((gid, SHARED)), users, groups)
    monkeypatch.setattr(Accounts, "of_process", lambda: found)
    return gid


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder that only this user may write to, below one that everybody may."""
    tmp_path.chmod(0o1777)
    inside = tmp_path / "ours"
    inside.mkdir(mode=0o755)
    yield inside
    tmp_path.chmod(0o700)


def handed(folder: Path, gid: int, mode: int = 0o2775, owner: int = OTHER) -> Path:
    """A folder as a volume has it: of another owner, and of a group."""
    folder.mkdir(exist_ok=True)
    os.chown(folder, owner, gid)
    folder.chmod(mode)
    return folder


def test_a_home_is_made_for_its_owner_alone_and_kept_out_of_repositories(tmp_path: Path) -> None:
    """Below folders that are not there either."""
    folder = tmp_path / "a" / "home"
    home.make(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text("utf-8") == "*\n"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o770, 0o702])
def test_a_home_that_others_may_write_to_is_refused_with_the_fix(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They could replace database and token; nothing is written before that is known."""
    monkeypatch.setattr(Accounts, "of_process", lambda: Accounts(os.geteuid(), frozenset()))
    folder = tmp_path / "our home"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(ConfigError, match=r"chmod go-w '.*our home'") as refusal:
        home.make(folder)
    assert "TURNGATE_HOME" in str(refusal.value)
    assert not list(folder.iterdir())
    folder.chmod(mode & ~0o022)
    home.make(folder)


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750, 0o711])
def test_a_home_that_others_may_only_read_is_used(tmp_path: Path, mode: int) -> None:
    """That is what most systems make; the files in it are for their owner."""
    tmp_path.chmod(mode)
    home.make(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode, "and left as it is"


def test_a_home_that_cannot_be_made_says_which_setting_to_change(tmp_path: Path) -> None:
    """There is a file where it should be."""
    (tmp_path / "home").write_text("")
    with pytest.raises(ConfigError, match="TURNGATE_HOME"):
        home.make(tmp_path / "home")


@pytest.mark.parametrize("mode", [0o770, 0o775, 0o2770])
def test_a_home_of_a_group_that_holds_no_other_user_is_used(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many systems give every user a group; a container gets one for its volumes."""
    gid = tmp_path.stat().st_gid
    monkeypatch.setattr(Accounts, "of_process", lambda: Accounts(os.geteuid(), frozenset((gid,))))
    tmp_path.chmod(mode)
    home.make(tmp_path)
    assert not home.is_readable(tmp_path)


@root_only
@pytest.mark.parametrize("owner", [OTHER, 0])
def test_a_volume_of_another_owner_for_our_group_is_used(
    place: Path, ours: int, owner: int
) -> None:
    """As Kubernetes mounts one with `fsGroup`, and the home is a folder of it."""
    volume = handed(place / "volume", ours, owner=owner)
    folder = handed(volume / "home", ours)
    assert not home.is_foreign(folder)
    home.make(folder)


@root_only
@pytest.mark.parametrize("mode", [0o755, 0o2755, 0o777, 0o2777])
def test_a_folder_of_another_owner_that_was_not_handed_over_is_refused(
    place: Path, ours: int, mode: int
) -> None:
    """The group may not write, or everybody may."""
    with pytest.raises(ConfigError, match="belongs to another user"):
        home.make(handed(place / "home", ours, mode))


@root_only
def test_a_volume_of_a_shared_group_needs_the_word_of_the_operator(place: Path, ours: int) -> None:
    folder = handed(place / "home", SHARED)
    with pytest.raises(ConfigError, match=f"TURNGATE_HOME_GROUP={SHARED} in the environment"):
        home.make(folder)
    home.make(folder, str(SHARED))
    with pytest.raises(ConfigError, match="belongs to another user"):
        home.check(folder, str(ours))


@root_only
def test_a_home_that_was_planted_by_way_of_a_shared_folder_is_refused(
    tmp_path: Path, place: Path, ours: int
) -> None:
    """What is made below a set-group-id folder takes its group, also when another user makes it.

    It keeps that group when it is moved to another place that everybody may write to.
    """
    shared = handed(place / "shared", ours, 0o2777)
    with pytest.raises(ConfigError, match="belongs to another user"):
        home.make(handed(shared / "home", ours))
    project = handed(shared / "project", ours)
    with pytest.raises(ConfigError, match="belongs to another user"):
        home.make(handed(project / "home", ours))
    with pytest.raises(ConfigError, match="belongs to another user"):
        home.make(handed(tmp_path / "moved", ours))


@root_only
def test_a_home_of_another_owner_in_a_folder_of_theirs_is_refused(place: Path, ours: int) -> None:
    """They can replace it by any other folder."""
    theirs = handed(place / "theirs", OTHER, 0o755)
    with pytest.raises(ConfigError, match="belongs to another user"):
        home.make(handed(theirs / "home", ours))


@root_only
@pytest.mark.parametrize("beside", home.BESIDE_DATABASE)
def test_a_database_that_another_user_made_is_refused(place: Path, ours: int, beside: str) -> None:
    """It could hold credentials whose tokens they know; its log is read like the file itself."""
    database = place / "turngate.db"
    home.check_database(database)
    file = Path(f"{database}{beside}")
    file.write_bytes(b"")
    os.chown(file, OTHER, ours)
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="whose tokens would be accepted"):
        home.check_database(database)
    file.chmod(0o660)
    home.check_database(database)
