"""Pages that are written from the code are as the code is now."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs import pages
from tests.support.patience import PATIENCE_S

FROM_CODE = ("docs/configuration.md", "docs/errors.md")


@pytest.mark.timeout(20)  # a process of its own, which imports the whole product
def test_generated_pages_are_fresh() -> None:
    """`make docs` writes them again."""
    checked = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=pages.ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert checked.returncode == 0, f"run `make docs`: {checked.stdout}{checked.stderr}"


@pytest.mark.parametrize("page", FROM_CODE)
def test_a_generated_page_says_that_it_is(page: str) -> None:
    """Or somebody mends it by hand, until the next run."""
    assert "docs/generate.py" in pages.read(page).splitlines()[0]
