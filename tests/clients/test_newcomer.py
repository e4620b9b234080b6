"""A newcomer who has the pages and nothing else gets what the pages show.

From a shell with curl and wscat, from Python, from Node. What a browser would run, runs in Node,
whose `fetch` and `WebSocket` are the same interfaces; the page for a browser's console is tried in
a real one, in tests/browser.
"""

from __future__ import annotations

import pytest

from tests.clients.playing import follow, network_sections
from tests.clients.running import HANGS_S, Gateway
from tests.docs import pages
from tests.docs.pages import Block
from tests.docs.playing import commands
from tests.support.machine import needs

pytestmark = pytest.mark.timeout(HANGS_S)  # a gateway, and each command is a process of its own


def typed(inside: list[Block]) -> set[str]:
    """The programs a section runs."""
    return {command.line.split()[0] for block in inside for command in commands(block.text)}


SECTIONS = [
    pytest.param(inside, id=f"{page}#{title}", marks=[needs(*typed(inside) & {"curl"})])
    for page in ("README.md", "docs/clients.md")
    for title, inside in network_sections(page).items()
]


@pytest.mark.parametrize("inside", SECTIONS)
def test_what_a_section_shows_is_what_one_gets(inside: list[Block], own_gateway: Gateway) -> None:
    wrong = follow(inside, own_gateway)
    assert not wrong, "\n".join(wrong)


def test_the_first_page_shows_each_way_in() -> None:
    """A shell with curl and wscat, and Python."""
    [inside] = network_sections("README.md").values()
    assert typed(inside) == {"turngate", "python", "curl", "wscat"}
    assert "console" in pages.read("README.md"), "the page that tests/browser opens"


def test_a_wrong_page_is_noticed(own_gateway: Gateway) -> None:
    """The check itself: output that differs, and a command that fails."""
    block = Block(1, ("shellsession",), "$ echo one\ntwo\n$ turngate turns list --json\n[]\n")
    assert len(follow([block], own_gateway)) > 1
