"""The port: free, taken by whom; the gateway: does it answer."""

from __future__ import annotations

import json
import os
import socket
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway.cli.doctor.check import Level
from gateway.cli.doctor.gateway_port import FIXES, gateway, judged, port
from gateway.cli.target import Target
from gateway.rpc.method import examples
from gateway.telemetry.health import REASONS
from gateway.wire.methods.status import Status
from tests.unit.gateway.cli.doctor.scene import scene
from tests.unit.gateway.cli.shell import Shell


async def test_a_port_that_is_taken_names_its_owner_and_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        finding = await port(scene(tmp_path, turngate_port=number))
    assert finding.level is Level.FAIL
    assert str(number) in finding.saw
    assert f"TURNGATE_PORT={number + 1 if number < 65_535 else 0}" in finding.fix
    if sys.platform == "linux":
        assert f"pid {os.getpid()}" in finding.saw
    assert (await port(scene(tmp_path, turngate_port=number))).level is Level.OK


async def test_the_port_of_our_own_gateway_is_fine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        target = Target(f"http://127.0.0.1:{number}", "t")
        finding = await port(scene(tmp_path, turngate_port=number, target=target))
    assert finding.level is Level.OK


async def test_an_address_that_is_not_ours_is_a_failure(tmp_path: Path) -> None:
    finding = await port(scene(tmp_path, turngate_port=9, turngate_host="192.0.2.1"))
    assert finding.level is Level.FAIL
    assert "192.0.2.1" in finding.saw


async def test_any_port_is_always_free(tmp_path: Path) -> None:
    assert (await port(scene(tmp_path))).level is Level.OK


@pytest.mark.timeout(15)
async def test_a_gateway_that_does_not_answer_is_a_failure(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        finding = await gateway(scene(tmp_path, target=Target(url, "t")))
    assert finding.level is Level.FAIL
    assert "says nothing" in finding.saw
    assert "turngate up" in finding.fix


@pytest.mark.timeout(15)
async def test_after_kill_9_the_next_start_is_all_it_takes(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        number = gone.getsockname()[1]
    target = Target(f"http://127.0.0.1:{number}", "t")
    finding = await gateway(scene(tmp_path, target=target))
    assert finding.level is Level.WARN
    assert "turngate up" in finding.fix
    free = await port(scene(tmp_path, turngate_port=number, target=target))
    assert free.saw == f"{number} is free"


async def test_without_a_gateway_all_is_well(tmp_path: Path) -> None:
    assert (await gateway(scene(tmp_path))).level is Level.OK


@pytest.mark.timeout(60)
def test_a_gateway_whose_model_could_not_be_opened_says_why(shell: Shell) -> None:
    """It answers status, and nobody else."""
    lost = {
        "TURNGATE_MODEL": "local",
        "TURNGATE_CACHE": str(shell.folder / "nothing"),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_NO_INDEX": "1",
    }
    with shell.up(**lost):
        assert shell.run("send", "hello").returncode == 1
        found = json.loads(shell.run("doctor", "--json", **lost).stdout)
    [finding] = [each for each in found if each["check"] == "gateway"]
    assert finding["level"] == "warn"
    assert "answers nobody" in finding["saw"]


@pytest.mark.timeout(60)
def test_a_gateway_whose_token_is_gone_is_not_called_absent(shell: Shell) -> None:
    with shell.up() as (_, url):
        (shell.home / "token").unlink()
        found = json.loads(shell.run("doctor", "--json").stdout)
    [finding] = [each for each in found if each["check"] == "gateway"]
    assert (finding["level"], url in finding["saw"]) == ("fail", True)
    assert "TURNGATE_TOKEN" in finding["fix"]


@pytest.mark.parametrize("reason", sorted(REASONS.keys() - {"model_not_open"}))
def test_a_gateway_that_is_not_well_says_why_and_what_to_do(reason: str) -> None:
    """A model that is not open has a finding of its own."""
    shown = Status.model_validate(examples()["status"].result)
    status = shown.model_copy(
        update={"version": version("turngate"), "state": "degraded", "reasons": [reason]}
    )
    finding = judged("http://here", status)
    assert finding.level is Level.WARN
    assert f"degraded: {reason}" in finding.saw
    assert finding.fix == FIXES[reason]
