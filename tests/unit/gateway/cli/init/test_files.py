"""Files are put down where there are none; what is there stays."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from agents.settings import AgentSettings
from agents.workspace import load
from gateway.cli.init.files import missing_ignores, put, workspace_files
from gateway.core.errors import ConfigError
from gateway.routing.file import load_routes


def test_what_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("mine")
    done = put({tmp_path / "a": "yours", tmp_path / "deep" / "b": "new"})
    assert done.kept == (tmp_path / "a",)
    assert done.made == (tmp_path / "deep" / "b",)
    assert (tmp_path / "a").read_text() == "mine"


def test_a_link_that_leads_nowhere_is_kept_too(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "elsewhere")
    assert put({tmp_path / "a": "x"}).kept
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_with_a_secret_is_for_its_owner(tmp_path: Path) -> None:
    put({tmp_path / ".env": "KEY=x"}, secret=[tmp_path / ".env"])
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/below"):
        put({tmp_path / "file" / "below": "x"})


def test_the_first_workspace_is_a_right_one(tmp_path: Path) -> None:
    put(workspace_files(tmp_path))
    workspace = load(tmp_path)
    assert not workspace.problems
    assert [str(agent_id) for agent_id in workspace.ids()] == ["main"]
    assert not load_routes((tmp_path / "routes.json").read_text()).warnings


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", (".env", ".turngate/")),
        (".env\n.turngate\n", ()),
        ("*.pyc\n.turngate/\n", (".env",)),
    ],
)
def test_lines_a_list_of_ignores_lacks_are_told(
    tmp_path: Path, text: str, missing: tuple[str, ...]
) -> None:
    assert missing_ignores(tmp_path) == ()
    (tmp_path / ".gitignore").write_text(text)
    assert missing_ignores(tmp_path) == missing


def test_the_first_agent_names_every_setting_it_may_have() -> None:
    [text] = [text for path, text in workspace_files(Path()).items() if path.name == "AGENT.md"]
    assert [name for name in AgentSettings.model_fields if name not in text] == []
