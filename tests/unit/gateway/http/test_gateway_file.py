"""The file by which commands find the gateway."""

import json
import stat
from pathlib import Path

from gateway.http import gateway_file


def test_it_says_where_for_its_owner_alone(tmp_path: Path) -> None:
    gateway_file.write(tmp_path, "http://127.0.0.1:1", 42, "up")
    file = tmp_path / "gateway.json"
    assert json.loads(file.read_text("utf-8")) == {"url": "http://127.0.0.1:1", "pid": 42}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.json"]


def test_it_names_a_command_that_is_not_up(tmp_path: Path) -> None:
    gateway_file.write(tmp_path, "http://127.0.0.1:1", 42, "chat")
    assert json.loads((tmp_path / "gateway.json").read_text("utf-8"))["command"] == "chat"


def test_what_a_crash_left_behind_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "gateway.json").write_text("half of a fi", "utf-8")
    (tmp_path / ".gateway.json.42").write_text("draft", "utf-8")
    gateway_file.write(tmp_path, "http://127.0.0.1:1", 42, "up")
    assert json.loads((tmp_path / "gateway.json").read_text("utf-8"))["pid"] == 42


def test_a_link_in_the_place_of_the_draft_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious", "utf-8")
    (tmp_path / ".gateway.json.42").symlink_to(elsewhere)
    gateway_file.write(tmp_path, "http://127.0.0.1:1", 42, "up")
    assert elsewhere.read_text("utf-8") == "precious"


def test_it_is_taken_away_by_who_wrote_it(tmp_path: Path) -> None:
    file = tmp_path / "gateway.json"
    gateway_file.write(tmp_path, "http://127.0.0.1:1", 42, "up")
    gateway_file.remove(tmp_path, 43)
    assert file.exists()
    gateway_file.remove(tmp_path, 42)
    assert not file.exists()
    gateway_file.remove(tmp_path, 42)


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "gateway.json"
    for text in ("no json", "[1]", "{}"):
        file.write_text(text, "utf-8")
        gateway_file.remove(tmp_path, 42)
        assert file.exists()
