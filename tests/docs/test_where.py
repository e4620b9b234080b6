"""Where does it go: ten questions of a newcomer, and the file that the design page leads to.

Whoever moves one of these files changes the page first; whoever adds a kind of thing adds the
question here.
"""

from __future__ import annotations

import pytest

from tests.docs import pages

QUESTIONS = {
    "a slash command and a JSON-RPC method both copy a session: what do they call?": (
        "gateway/conversations/branching.py",
        "gateway.conversations",
    ),
    "a new JSON-RPC method: which shapes does it take and give?": (
        "gateway/wire/methods/sessions.py",
        "gateway/wire/methods/<namespace>.py",
    ),
    "an operator wants to forget deliveries of one channel": (
        "gateway/delivery/operating.py",
        "gateway/delivery/operating.py",
    ),
    "a list of runs is to be filtered by tag": (
        "gateway/runs/reading.py",
        "gateway/runs/reading.py",
    ),
    "a bound on turns is to become a setting": (
        "gateway/settings/limits.py",
        "gateway/settings/<subject>.py",
    ),
    "a table gets another column": (
        "gateway/store/sql/migrations/0001_initial.sql",
        "gateway/store/sql/migrations/",
    ),
    "who may send a message to an agent is decided where?": (
        "gateway/routing/router.py",
        "gateway.routing",
    ),
    "an agent gets another tool": ("agents/tools/catalog.py", "agents/tools/catalog.py"),
    "a refusal needs a kind of its own": ("gateway/core/errors.py", "gateway/core/errors.py"),
    "the process shall die between two writes in a test": (
        "gateway/core/crashpoints.py",
        "gateway/core/crashpoints.py",
    ),
}
"""The question, the file, and the words by which the page leads there."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_design_page_leads_to_the_file(question: str) -> None:
    """It is there, and the page names it or the place it is in."""
    file, words = QUESTIONS[question]
    assert (pages.ROOT / file).is_file(), f"{file} has moved; change the page and this answer"
    assert words in pages.read("docs/design.md")
