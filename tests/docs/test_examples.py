"""Every console block and every Python snippet does what its page says it does."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.playing import play

PAGES = [
    page
    for page in pages.pages()
    if any(block.language in ("console", "python") for block in pages.blocks(pages.read(page)))
]


@pytest.mark.timeout(20)  # each command is a process of its own
@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_the_examples_of_a_page_are_true(page: Path, tmp_path: Path) -> None:
    """Block after block in one folder, as a reader would."""
    found = pages.blocks(pages.read(page))
    wrong = [
        f"{pages.name(page)}:{block.line}: {problem}"
        for block, following in zip_longest(found, found[1:])
        for problem in play(block, following, tmp_path)
    ]
    assert not wrong, "\n".join(wrong)
