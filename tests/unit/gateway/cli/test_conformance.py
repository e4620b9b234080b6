"""The report on a server, for people and for programs."""

from __future__ import annotations

import json

import pytest

from gateway.conformance.catalog import CHECKS
from tests.unit.gateway.cli.shell import Shell

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]


def test_a_gateway_that_speaks_the_protocol_passes(served: Shell) -> None:
    done = served.run("conformance", "--json")
    report = json.loads(done.stdout)
    assert [check for check in report["checks"] if not check["ok"]] == []
    assert (done.returncode, report["passed"], report["failed"]) == (0, len(CHECKS), 0)


def test_a_server_that_does_not_is_told_line_by_line(shell: Shell) -> None:
    """Nobody listens there: each line says so, and the end counts."""
    done = shell.run("conformance", "http://127.0.0.1:9", TURNGATE_TOKEN="tg_nothing")
    assert done.returncode == 1
    assert done.stdout.count("FAILED") == len(CHECKS)
    assert done.stdout.endswith(f"0 of {len(CHECKS)} checks passed\n")
