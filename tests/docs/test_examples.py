"""Every console block and every Python snippet does what its page says it does."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.pages import Block
from tests.docs.playing import play

EXAMPLES = [
    pytest.param(inside, id=f"{pages.name(page)}#{title}")
    for page in pages.pages()
    for title, inside in pages.sections(pages.read(page))
    if any(block.language in ("console", "python") for block in inside)
]


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
