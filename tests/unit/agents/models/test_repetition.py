"""When a text goes round in circles, and when it only repeats what it means to."""

from __future__ import annotations

import pytest

from agents.models.repetition import LONGEST_CHARS, repeats_from

CIRCLES = {
    "a sentence": ("I am sorry.\n\n", 12, "Oh no! "),
    "a word": ("sorry ", 40, "I am "),
    "a table without end": ("--- | ", 30, "| Test | Answer |\n"),
    "a stanza": ("the world is a tapestry of light,\na tapestry of love,\n", 3, "A poem\n"),
    "a paragraph": ("It was adapted for the stage. " * 3 + "It was loved. ", 3, ""),
    "one character": ("\N{SNOWMAN}", 200, "Hi "),
}
MEANT = (
    "",
    "ha ha ha ha ha",
    "Title\n" + "-" * 80 + "\n",
    "No, no, no!",
    "\n".join(f"7 x {number} = {7 * number}" for number in range(1, 30)),
    ", ".join(map(str, range(1, 100))),
    "Row, row, row your boat, gently down the stream.\n" * 2 + "Merrily, merrily, life is a dream.",
)


@pytest.mark.parametrize("name", CIRCLES)
def test_a_circle_is_noticed_and_its_first_round_counts_as_said(name: str) -> None:
    unit, times, before = CIRCLES[name]
    text = before + unit * times
    end = repeats_from(text)
    assert end is not None
    assert text[:end].startswith(before)
    assert len(text[:end]) <= len(before) + len(unit)


@pytest.mark.parametrize("text", MEANT)
def test_what_is_meant_is_no_circle(text: str) -> None:
    assert all(repeats_from(text[:end]) is None for end in range(len(text) + 1))


def test_only_the_end_counts() -> None:
    """It is looked at with each piece, so a circle that was left again is over."""
    assert repeats_from("again and " * 20 + "then it stopped.") is None


def test_a_very_long_text_costs_no_more() -> None:
    assert repeats_from(("x" * (LONGEST_CHARS + 1) + "y") * 4) is None
