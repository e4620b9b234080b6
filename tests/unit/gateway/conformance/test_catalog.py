"""The gateway passes every check, and no check passes a server that breaks its rule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.conformance.catalog import CHECKS
from gateway.conformance.check import Check
from gateway.conformance.run import Verdict, examine
from gateway.conformance.subject import Subject
from gateway.core.clock import SystemClock
from gateway.core.ids import SystemIds
from tests.unit.gateway.cli.shell import Shell
from tests.unit.gateway.conformance.between import Flaw, flawed
from tests.unit.gateway.conformance.flaws import flaws

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]
PATIENCE_S = 0.5
"""For an answer that will not come; a right one takes a hundredth."""


class Served:
    """A gateway that runs."""

    def __init__(self, url: str, token: str) -> None:
        self.port = int(url.rpartition(":")[2])
        self.token = token

    async def examined(self, flaw: Flaw, *checks: Check, patience_s: float) -> list[Verdict]:
        """What the checks say of it, seen through a flaw."""
        clock = SystemClock()
        async with flawed(self.port, flaw) as url:
            name = SystemIds(clock).new("conformance")
            subject = Subject(url, self.token, name, clock, patience_s)
            return [verdict async for verdict in examine(subject, checks)]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    shell = Shell(tmp_path_factory.mktemp("served"))
    with shell.up() as (_, url):
        yield Served(url, (shell.home / "token").read_text("utf-8").strip())


async def test_the_gateway_passes_every_check(served: Served) -> None:
    """Through a door without a flaw, so that the flaws are all the others find."""
    verdicts = await served.examined(Flaw(), *CHECKS, patience_s=20.0)
    assert [(verdict.name, verdict.problem) for verdict in verdicts if not verdict.ok] == []
    assert len(verdicts) == len(CHECKS)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
async def test_every_check_notices_a_server_that_breaks_its_rule(
    served: Served, check: Check
) -> None:
    flaw = flaws(served.token, served.port)[check.name]
    [verdict] = await served.examined(flaw, check, patience_s=PATIENCE_S)
    assert verdict.problem


def test_every_check_has_a_name_of_its_own_and_a_flaw() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert set(flaws("", 0)) == set(names)


async def test_a_server_that_is_not_there_fails_every_check(unused_port: int) -> None:
    """And raises nothing: a report is a report."""
    clock = SystemClock()
    subject = Subject(f"http://127.0.0.1:{unused_port}", "t", "nobody", clock, PATIENCE_S)
    verdicts = [verdict async for verdict in examine(subject)]
    assert all(not verdict.ok for verdict in verdicts)
    assert len(verdicts) == len(CHECKS)
