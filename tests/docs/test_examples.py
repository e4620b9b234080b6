"""Every console block and every Python snippet does what its page says it does."""

from __future__ import annotations

import asyncio
import re
from itertools import zip_longest
from pathlib import Path

import pytest

from gateway.simulate.server import simulating
from tests.docs import pages
from tests.docs.pages import Block
from tests.docs.playing import environment, play
from tests.support.patience import PATIENCE_S

EXAMPLES = [
    pytest.param(inside, id=f"{pages.name(page)}#{title}")
    for page in pages.pages()
    for title, inside in pages.sections(pages.read(page))
    if any(block.language in ("console", "python") for block in inside)
]


@pytest.mark.process
@pytest.mark.timeout(20)  # each command is a process of its own
@pytest.mark.parametrize("inside", EXAMPLES)
def test_the_examples_of_a_section_are_true(inside: list[Block], tmp_path: Path) -> None:
    """Block after block in one folder, as a reader would."""
    wrong = [
        f"line {block.line}: {problem}"
        for block, following in zip_longest(inside, inside[1:])
        for problem in play(block, following, tmp_path)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(20)  # a process that imports the client of a model server
async def test_the_line_for_a_real_model_reaches_one(tmp_path: Path) -> None:
    """The first page's own line, with the address of a server that is there."""
    page = pages.read("README.md")
    line = re.search(r"^LLM_BASE_URL=(\S+) .* turngate chat$", page, re.MULTILINE)
    assert line is not None
    async with simulating(answer=lambda call: f"{call.model} heard: {call.user_text}") as upstream:
        process = await asyncio.create_subprocess_shell(
            line[0].replace(line[1], upstream.base_url),
            cwd=tmp_path,
            env=environment(tmp_path) | {"TURNGATE_MODEL": ""},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE_S):
            shown, _ = await process.communicate(b"good morning\n")
    assert shown.decode() == "name-of-the-model heard: good morning\n"
    assert upstream.asked[0].headers["authorization"] == "Bearer your-key"
