"""Findings keep their form; what they show is tried by hand, as it needs a network."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "findings").iterdir())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_finding_has_its_form(path: Path) -> None:
    text = path.read_text()
    head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    assert path.suffix == ".sh"
    assert os.access(path, os.X_OK)
    assert re.search(r"(==|@)\d", text), "pins no version"
    assert "mktemp -d" in text
    assert "has changed" in text
    assert "# Expected:" in head
    assert "# Seen:" in head
    assert not re.search(r"import gateway|from gateway|turngate (up|chat|send)", text)
    assert not re.search(r"https?://(?!127\.0\.0\.1|localhost)\w", text), "names a host"
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0


def test_every_finding_is_listed_once() -> None:
    page = (ROOT / "docs" / "findings.md").read_text()
    assert sorted(re.findall(r"\]\(\.\./findings/([^)]+)\)", page)) == [p.name for p in SCRIPTS]
