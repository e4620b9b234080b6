"""One gateway for all commands that only ask; a shell of its own for those that start one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.gateway.cli.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Nothing runs here."""
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A gateway runs on the home of this shell."""
    shell = Shell(tmp_path_factory.mktemp("served"))
    with shell.up():
        yield shell
