"""One server at a time runs, for all the conversations it is tried with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.clients.running import Gateway, gateway_in
from tests.servers.catalog import SERVERS, Server
from tests.servers.installing import NotInstalled, installed
from tests.servers.launching import Running, running
from tests.servers.scripted_weights import write_folder, write_gguf


@dataclass(frozen=True, slots=True)
class Tried:
    """A server that runs, and what is known of it."""

    about: Server
    at: Running

    def settings(self, base_url: str = "") -> dict[str, str]:
        """What a gateway is told of it."""
        said = {"LLM_BASE_URL": base_url or self.at.base_url, "LLM_MODEL": self.at.model}
        return {"TURNGATE_MODEL": "openai", **said, **self.about.settings}


@pytest.fixture(scope="session")
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tried]:
    """The server that the test's parameter names, installed if it is not yet."""
    server: Server = request.param
    say(request.config, f"{server.name}: {', '.join(server.pins.named)} ...")
    try:
        python = installed(server.pins)
    except NotInstalled as why:
        if not server.large:
            raise
        say(request.config, f"{server.name} is skipped: {why}")
        pytest.skip(str(why))
    folder = tmp_path_factory.mktemp("server")
    write_gguf(folder / "model.gguf")
    write_folder(folder / "model")
    with running(server.command(str(python), folder), server.model(folder), folder) as at:
        yield Tried(server, at)


@pytest.fixture(scope="session")
def gateway(tried: Tried, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One that has nothing but this server, and what an operator has to say of it."""
    with gateway_in(tmp_path_factory.mktemp("gateway"), **tried.settings()) as started:
        yield started


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each conversation is had with each server."""
    if "tried" in metafunc.fixturenames:
        name = metafunc.function.__name__
        rows = [
            pytest.param(
                server,
                id=server.name,
                marks=[pytest.mark.xfail(reason=gap)] if (gap := server.gaps.get(name)) else [],
            )
            for server in SERVERS
        ]
        metafunc.parametrize("tried", rows, indirect=True, scope="session")


def say(config: pytest.Config, line: str) -> None:
    """Progress on the terminal while output is captured."""
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        sys.stderr.write(f"\n  {line}")
