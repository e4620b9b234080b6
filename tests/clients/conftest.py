"""The gateways clients are pointed at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.running import Gateway, gateway_in

BANNER = ("turngate ", "  ")
"""How the lines begin that a healthy gateway says on stderr: who answers, and where things are."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all tests of a module; nothing its clients do may make it warn."""
    with gateway_in(tmp_path_factory.mktemp("gateway")) as running:
        yield running
        warnings = [line for line in running.said().splitlines() if not line.startswith(BANNER)]
        assert not warnings


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """One for a test that stops it, or that sends what is refused."""
    with gateway_in(tmp_path) as running:
        yield running
