"""A gateway of another home is found by files and addresses, and no secret leaves for it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.nearby import Nearby, answers, nearby
from gateway.cli.target import find
from gateway.core import known_homes
from gateway.core.errors import GatewayUnreachable
from gateway.settings.settings import Settings, load_settings
from tests.support.canned import Canned, canned

ALIVE = b'{"status":"ok"}'


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of a folder in which nothing runs, on a port at which nothing listens."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    here = tmp_path / "project" / "inner"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # A gateway of the user who runs the tests may be there.
    monkeypatch.setattr("gateway.cli.nearby.USUAL_PORT", port)
    return load_settings(turngate_port=port)


def runs(home: Path, server: Canned) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    url = server.base_url.removesuffix("/v1")
    (home / "gateway.json").write_text(json.dumps({"url": url, "pid": 1}))
    (home / "token").write_text("secret")
    return home


def above(tmp_path: Path, server: Canned) -> Path:
    return runs(tmp_path / "project" / ".turngate", server)


def remembered(tmp_path: Path, server: Canned) -> Path:
    home = runs(tmp_path / "elsewhere", server)
    known_homes.remember(home)
    return home


@pytest.mark.parametrize("place", [above, remembered])
def test_one_of_another_home_is_named_with_the_way_to_reach_it(
    tmp_path: Path, settings: Settings, place: Callable[[Path, Canned], Path]
) -> None:
    """In a folder above, or wherever this user has run one; asked without any credential."""
    with canned(ALIVE, only="/healthz") as server:
        home = place(tmp_path, server)
        with pytest.raises(GatewayUnreachable, match="no gateway is running here") as refused:
            find()
    assert f"for {home}: add --home {home}" in str(refused.value)
    assert server.asked == [("/healthz", "")]


def test_one_at_the_port_of_the_settings_is_found_without_a_file(settings: Settings) -> None:
    with canned(ALIVE) as server:
        found = nearby(settings.model_copy(update={"turngate_port": server.port}))
    assert [(each.url, each.home) for each in found] == [(f"http://127.0.0.1:{server.port}", None)]
    assert "TURNGATE_TOKEN" in found[0].told


def test_that_of_this_home_is_no_other(tmp_path: Path, settings: Settings) -> None:
    with canned(ALIVE) as server:
        home = remembered(tmp_path, server)
        assert nearby(settings.model_copy(update={"turngate_home": home})) == []


def test_a_leftover_file_and_a_strange_server_are_no_gateways(
    tmp_path: Path, settings: Settings
) -> None:
    with canned(b"<html>") as page:
        above(tmp_path, page)
        assert nearby(settings) == []
    assert nearby(settings) == []


@pytest.mark.parametrize(
    "url",
    ["http://192.0.2.1:80", "http://example.com", "http://127.0.0.1:x", "nonsense", "http://[::1"],
)
def test_only_this_machine_is_asked(url: str) -> None:
    """A file in a folder above may name any address."""
    assert not answers(url)


def test_a_path_with_blanks_can_be_copied() -> None:
    assert "--home '/my home'" in Nearby("http://127.0.0.1:1", Path("/my home")).told
