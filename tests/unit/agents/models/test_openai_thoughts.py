"""What of a text is a thought, for every way of marking one that models are known by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.openai_thoughts import TAGS, Thoughts

SECRET = "They greet. I must not say a word about Nightjar."


def split(*pieces: str, opened: bool = False) -> tuple[str, str]:
    """What a watcher has at the end, and the thoughts; what was shown and taken back is neither."""
    thoughts = Thoughts(opened=opened)
    shown = ""
    for piece in pieces:
        misled = thoughts.misled
        more = thoughts.feed(piece)
        shown = more if thoughts.misled != misled else shown + more
    shown += thoughts.finish()
    assert shown == thoughts.text
    return shown, thoughts.hidden


MARKED = {
    **{opening: f"{opening}\n{SECRET}\n{closing}\n\nHello!" for opening, closing in TAGS.items()},
    "capitals": f"<THINK>{SECRET}</Think>Hello!",
    "closed only": f"{SECRET}\n</think>\n\nHello!",
    "closed twice": f"<think>{SECRET}</think></think>Hello!",
    "twice": f"<think>{SECRET}</think>\n<think>{SECRET}</think>Hello!",
    "code inside": f"<think>{SECRET}\n```\nx\n```\n</think>Hello!",
    "channels": (
        f"<|channel|>analysis<|message|>{SECRET}<|end|><|start|>assistant<|channel|>final<|message|>"
        "Hello!<|return|>"
    ),
    "channels without an end": (
        f"<|channel|>analysis<|message|>{SECRET}<|channel|>final<|message|>Hello!"
    ),
    "a header in front": (
        f"<|start|>assistant<|channel|>analysis<|message|>{SECRET}<|end|>"
        "<|start|>assistant<|message|>Hello!<|end|>"
    ),
    "a call in a channel": (
        f"<|channel|>commentary to=functions.x<|message|>{SECRET}<|call|>"
        "<|start|>assistant<|channel|>final<|message|>Hello!"
    ),
}


@pytest.mark.parametrize("how", MARKED)
def test_a_thought_is_not_shown(how: str) -> None:
    text = MARKED[how]
    for pieces in ((text,), tuple(text), (text[:7], text[7:60], text[60:])):
        shown, hidden = split(*pieces)
        assert shown == "Hello!"
        assert "Nightjar" in hidden


@pytest.mark.parametrize("opening", TAGS)
def test_a_thought_that_is_never_closed_is_not_shown(opening: str) -> None:
    assert split(f"{opening}{SECRET}")[0] == ""
    assert split(*f"Well.\n{opening}{SECRET}")[0] == "Well.\n"


@pytest.mark.parametrize(
    "text",
    [
        "Write `<think>` before and `</think>` behind it.",
        'The tag "<think>" opens, "</think>" closes.',
        "```xml\n<think>\nx\n</think>\n```\nThat was it.",
        "It begins with <think> and that is all.",
        "1 < 2, [think of it], a <thin line, <|im_end|",
        "if a<b: return [t]",
        "",
    ],
)
def test_a_text_about_thoughts_is_a_text(text: str) -> None:
    assert split(text) == (text, "")
    assert split(*text) == (text, "")


def test_a_model_whose_template_opens_the_thought_is_held_back_until_it_closes() -> None:
    thoughts = Thoughts(opened=True)
    assert thoughts.feed(SECRET) == ""
    assert thoughts.feed("</think>\nHello!") == "Hello!"
    assert not thoughts.misled
    assert split("Hello!", opened=True) == ("Hello!", "")


@given(st.lists(st.sampled_from([*MARKED.values(), "<", "think", ">", "</", "```", "\n", "x"])))
def test_pieces_make_no_difference_and_nothing_is_lost(pieces: list[str]) -> None:
    whole = "".join(pieces)
    assert split(*pieces) == split(whole) == split(*whole)
