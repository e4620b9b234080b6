"""Settings, agents, routes and addresses are judged as a start would judge them."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from gateway.cli.doctor import configuration
from gateway.cli.doctor.check import Level
from gateway.cli.init.files import put, workspace_files
from tests.unit.gateway.cli.doctor.scene import scene


async def test_problems_with_settings_are_all_told(tmp_path: Path) -> None:
    finding = await configuration.settings(scene(tmp_path, problems=("A: x", "B: y")))
    assert finding.level is Level.FAIL
    assert "A: x" in finding.saw
    assert "B: y" in finding.saw
    assert (await configuration.settings(scene(tmp_path))).level is Level.OK


async def test_a_name_that_may_be_a_slip_is_a_warning(tmp_path: Path) -> None:
    finding = await configuration.settings(scene(tmp_path, environ={"LLM_MODLE": "m"}))
    assert finding.level is Level.WARN
    assert "did you mean 'LLM_MODEL'?" in finding.saw


async def test_a_workspace_as_init_writes_it_is_fine(tmp_path: Path) -> None:
    put(workspace_files(tmp_path / "workspace"))
    finding = await configuration.workspace(scene(tmp_path))
    assert finding.level is Level.OK
    assert "main" in finding.saw


async def test_a_rule_for_an_agent_that_is_not_there_is_told(tmp_path: Path) -> None:
    put(workspace_files(tmp_path / "workspace"))
    routes = tmp_path / "workspace" / "routes.json"
    routes.write_text('{"bindings": [{"agent": "lnua", "match": {"channel": "stdio"}}]}')
    finding = await configuration.workspace(scene(tmp_path))
    assert finding.level is Level.WARN
    assert "lnua" in finding.saw


async def test_routes_that_would_be_refused_are_a_failure(tmp_path: Path) -> None:
    put(workspace_files(tmp_path / "workspace"))
    (tmp_path / "workspace" / "routes.json").write_text("{")
    finding = await configuration.workspace(scene(tmp_path))
    assert finding.level is Level.FAIL
    assert "routes.json" in finding.saw


async def test_a_broken_agent_is_told(tmp_path: Path) -> None:
    put(workspace_files(tmp_path / "workspace"))
    agent = tmp_path / "workspace" / ".agents" / "main" / "AGENT.md"
    agent.write_text("---\nmax_token: 3\n---\nhello\n")
    finding = await configuration.workspace(scene(tmp_path))
    assert finding.level is Level.FAIL, "none is left to answer"
    assert "max_token" in finding.saw
    (agent.parent.parent / "luna").mkdir()
    (agent.parent.parent / "luna" / "AGENT.md").write_text("Luna.")
    finding = await configuration.workspace(scene(tmp_path))
    assert finding.level is Level.WARN
    assert "max_token" in finding.saw


async def test_an_open_address_without_a_token_is_a_failure(tmp_path: Path) -> None:
    finding = await configuration.address(scene(tmp_path, turngate_host="0.0.0.0"))
    assert finding.level is Level.FAIL
    assert "TURNGATE_TOKEN" in finding.saw


async def test_an_open_address_without_tls_is_a_warning(tmp_path: Path) -> None:
    token = SecretStr("a-token-that-is-long-enough-for-anybody")
    finding = await configuration.address(
        scene(tmp_path, turngate_host="0.0.0.0", turngate_token=token)
    )
    assert finding.level is Level.WARN


async def test_a_certificate_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    finding = await configuration.address(scene(tmp_path, turngate_tls_cert=tmp_path / "c.pem"))
    assert finding.level is Level.FAIL
    assert "c.pem" in finding.saw


async def test_a_bot_token_for_nothing_is_a_warning(tmp_path: Path) -> None:
    finding = await configuration.discord(scene(tmp_path, environ={"DISCORD_BOT_TOKEN": "x"}))
    assert finding.level is Level.WARN
    assert (await configuration.discord(scene(tmp_path))).level is Level.OK
