"""The page on durable tasks, taken at its word: its file, its commands, a real gateway that dies.

The task is the page's and knows nothing of this test. What it did in the world is in `book.txt`.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.manifest import shows
from tests.clients.running import Gateway, environment, gateway_in
from tests.docs import pages
from tests.docs.playing import commands
from tests.docs.sameness import differences
from tests.support import database
from tests.support.patience import PATIENCE_S

PAGE = "docs/tutorials/durable-task.md"
LOOK_S = 0.1

pytestmark = pytest.mark.timeout(120)  # two lives of a gateway and a dozen commands, all processes


class Reader:
    """Somebody who follows the page in a folder of their own."""

    def __init__(self, gateway: Gateway, other: Gateway | None = None) -> None:
        self.gateway = gateway
        self._other = other
        self.folder = gateway.folder
        self.names: dict[str, str] = {"RUN": "RUN"}
        self._blocks = {block.info[-1]: block for block in pages.blocks(pages.read(PAGE))}

    def do(self, name: str) -> str:
        """Type the lines of a block; what it shows, which is what the page says."""
        block = self._blocks[name].text
        typed = [each.line.replace("RUN", self.names["RUN"]) for each in commands(block)]
        wanted = "".join(each.shown for each in commands(block))
        wrong = ["it was never typed"]
        for _ in range(round(PATIENCE_S / LOOK_S)):
            shown = "".join(map(self.type, typed))
            wrong = differences(wanted, shown)
            if not wrong:
                return shown
            if name != "watch":  # which may be done again; a reader is slower than the run
                break
            select.select([], [], [], LOOK_S)
        raise AssertionError(wrong)

    def type(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment(HOME=str(self.folder), TURNGATE_HOME=str(self.gateway.home)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, (line, done.stdout)
        return done.stdout

    def pull_the_plug(self) -> None:
        """As the page does, and start it again; where another runs beside it, go on with that."""
        if self._other is None:
            self.do("kill")
        assert self.gateway.stop(signal.SIGKILL) == -signal.SIGKILL
        if self._other is None:
            self.gateway.start()
        else:
            self.gateway = self._other

    def book(self) -> list[str]:
        """What the task did in the world."""
        book = self.folder / "book.txt"
        return book.read_text("utf-8").splitlines() if book.exists() else []

    def run(self, run_id: str = "") -> dict[str, object]:
        found: dict[str, object] = self.gateway.call("runs.get", run_id=run_id or self.names["RUN"])
        return found

    def until(self, status: str, run_id: str = "") -> dict[str, object]:
        """The run, once it has this status."""
        for _ in range(round(PATIENCE_S / LOOK_S)):
            if self.run(run_id)["status"] == status:
                return self.run(run_id)
            select.select([], [], [], LOOK_S)
        raise AssertionError(self.run(run_id))


@pytest.fixture(
    params=["the-next-process", pytest.param("another-process", marks=pytest.mark.postgres)]
)
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reader]:
    """With one process at a time on SQLite, or two that share a PostgreSQL."""
    source = next(block for block in pages.blocks(pages.read(PAGE)) if block.file)
    folder, home = tmp_path / "one", tmp_path / "other"
    place = folder / source.file
    place.parent.mkdir(parents=True)
    place.write_text(source.text, "utf-8")
    declared = "TURNGATE_TASKS=tasks.py:report"
    assert declared in pages.read(PAGE)
    settings = {"TURNGATE_TASKS": declared.partition("=")[2], "WORKSPACE_DIR": str(place.parent)}
    if request.param == "the-next-process":
        with gateway_in(folder, **settings) as gateway:
            yield Reader(gateway)
        return
    settings |= {"TURNGATE_STORE": asyncio.run(database.fresh_url()), "TURNGATE_LEASE": "2"}
    with gateway_in(folder, **settings) as first:
        home.mkdir()
        shutil.copy(first.home / "token", home)  # one database, one operator
        with gateway_in(folder, TURNGATE_HOME=str(home), **settings) as second:
            yield Reader(first, second)


@shows("task.resumes", "task.operated")
def test_the_page_is_true_from_its_first_line_to_its_last(reader: Reader) -> None:
    """Killed while it prints, resumed, told, forked, exported, pruned, imported."""
    run_id = reader.names["RUN"] = reader.do("start").split()[1]
    for _ in range(round(PATIENCE_S / LOOK_S)):
        streamed = reader.gateway.call("runs.stream", run_id=reader.names["RUN"])
        if streamed["pieces"]:
            break
        select.select([], [], [], LOOK_S)
    assert reader.book() == ["counted"]
    reader.pull_the_plug()
    reader.do("watch")
    parked = reader.until("suspended")
    while parked["reason"] != "approval":
        parked = reader.until("suspended")
    assert parked["waits"] == ["approved"]
    reader.do("emit")
    result = reader.run()["result"]

    # A second run lives on beside it, so that pruning has something to leave.
    copy = reader.do("fork").split()[1]
    reader.until("suspended", copy)
    assert reader.book()[:2] == ["counted", f"printed {run_id}:3"]
    assert reader.book().count("counted") == 1
    back = reader.run()
    assert (back["status"], back["result"]) == ("completed", result)
    assert json.loads((reader.folder / "run.json").read_text())["run"]["run_id"] == run_id
    assert os.listdir(reader.folder / "workspace")
