"""Links between pages lead somewhere, and every page can be found."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs import pages

PAGES = pages.pages()


@pytest.mark.parametrize("page", PAGES, ids=pages.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Files exist, and so do the headings behind a `#`. Other sites are none of our business."""
    broken: list[str] = []
    for link in pages.links(pages.read(page)):
        if "://" in link:
            continue
        place, _, anchor = unquote(link).partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in pages.anchors(pages.read(target))):
            broken.append(link)
    assert not broken, f"{pages.name(page)} links to {broken}"


PLACE = re.compile(
    r"`((?:gateway|agents|channels|tests|docs|benchmarks)/[\w/.\-]*)(?:::\w+)?`",
)


@pytest.mark.parametrize("page", [p for p in PAGES if p.name != "CONTRIBUTING.md"], ids=pages.name)
def test_files_that_are_named_exist(page: Path) -> None:
    """Contributing tells of folders to come; everybody else of what is there."""
    named = set(PLACE.findall(pages.prose(pages.read(page))))
    gone = sorted(name for name in named if not (pages.ROOT / name).exists())
    assert not gone, f"{pages.name(page)} names {gone}"


def test_every_page_is_reached_from_the_first_one() -> None:
    """A page nobody links to is a page nobody reads."""
    reached = {pages.ROOT / "README.md"}
    waiting = list(reached)
    while waiting:
        page = waiting.pop()
        for link in pages.links(pages.read(page)):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists() and target not in reached:
                reached.add(target)
                waiting.append(target)
    lost = sorted(pages.name(page) for page in PAGES if page not in reached)
    assert not lost, f"no link leads to {lost}"


def test_the_first_page_stays_short() -> None:
    """Whoever scrolls for long has left."""
    assert len(pages.read("README.md").splitlines()) <= 160
