"""How-to pages, tutorials and the like, followed to the letter by somebody with three terminals."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import Block, blocks, read
from tests.docs.playing import Command, commands, environment
from tests.docs.sameness import differences

PATIENCE_S = 100.0
"""Longest a command may take on a machine that does other things; most need a second."""
TERMINALS = {"simulator": "127.0.0.1:8766", "gateway": "127.0.0.1:8765"}
"""Blocks of something that keeps running, and the address the page has for it."""


@pytest.mark.process
@pytest.mark.timeout(300)  # two servers, a dozen commands, a pause of five seconds on the page
@pytest.mark.parametrize(
    "page",
    [
        "docs/howto/rehearse-an-outage.md",
        "docs/resilience.md",
        "docs/tutorials/python.md",
        "docs/tutorials/survive-a-crash.md",
        "docs/tutorials/two-agents.md",
    ],
)
def test_the_page_shows_what_happens(page: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        reader = _Reader(tmp_path, stack)
        wrong = [
            f"line {block.line}: {problem}"
            for block in blocks(read(page))
            for problem in reader.follow(block)
        ]
    assert not wrong, "\n".join(wrong)


class _Reader:
    """Does what blocks say in one folder; ports of the page stand for free ones."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._files: dict[str, str] = {}
        self._ports: dict[str, str] = {}

    def follow(self, block: Block) -> list[str]:
        """What the page says wrongly about this block."""
        if block.file:
            self._files[block.file] = block.text
        if block.language != "shellsession":
            return []
        typed = commands(block.text)
        for terminal in block.flags & TERMINALS.keys():
            shown = self._stack.enter_context(self._running(typed[0], terminal))
            return differences(typed[0].shown, self._as_on_page(shown))
        return [
            f"`{command.line}`: {problem}"
            for command in typed
            for problem in differences(command.shown, self._run(command.line))
        ]

    @contextmanager
    def _running(self, command: Command, terminal: str) -> Iterator[str]:
        """Start something in a terminal of its own; as many of its lines as the page shows."""
        self._save()
        process = subprocess.Popen(
            [*command.line.split(), "--port", "0"],
            cwd=self._folder,
            env=environment(self._folder) | {"TURNGATE_MODEL": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = "".join(process.stdout.readline() for _ in command.shown.splitlines())
            found = re.search(r"127\.0\.0\.1:\d+", said)
            assert found is not None, said
            self._ports[TERMINALS[terminal]] = found[0]
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE_S)

    def _save(self) -> None:
        """Once more each time: a port the page names may be known by now."""
        for name, text in self._files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._here(text), "utf-8")

    def _run(self, line: str) -> str:
        self._save()
        if line.startswith("turngate simulate "):  # a reader's is where it is looked for
            line += f" --url http://{TERMINALS['simulator']}"
        done = subprocess.run(
            ["bash", "-c", self._here(line)],
            cwd=self._folder,
            env=environment(self._folder) | {"TURNGATE_MODEL": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return self._as_on_page(done.stdout)

    def _here(self, text: str) -> str:
        for shown, real in self._ports.items():
            text = text.replace(shown, real)
        return text

    def _as_on_page(self, text: str) -> str:
        for shown, real in self._ports.items():
            text = text.replace(real, shown)
        return text
