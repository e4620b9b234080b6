"""Whether an answer to a first message is good: fixed rules, no model and no taste. Pure.

The rules are blunt: an answer is good when it speaks of what was asked, regrets nothing, does not
go round in circles and ends by itself. What counts as on topic was widened once, after answers had
been read; the settings are compared under the same rules since then.
"""

from __future__ import annotations

import re
from collections import Counter

from benchmarks.first_words.messages import Message

REGRETS = re.compile(
    r"\b(sorry|apolog\w+|condolences?|sympath\w+|regret\w*|unfortunately)\b", re.IGNORECASE
)
"""What nobody who says hello wants to read, and an "I'm sorry, but" before a refusal as well."""
MOST_TIMES = 2
"""A line or a sentence of some length may come back once, as the refrain of a poem does."""
SOME_WORDS = 4


def fault(message: Message, text: str, finish_reason: str) -> str:
    """What is wrong with this answer in a word; empty when it is good."""
    if not text.strip():
        return "empty"
    if REGRETS.search(text):
        return "regret"
    if finish_reason != "stop":
        return "no end"
    if _goes_round(text):
        return "loop"
    if not re.search(message.about, text, re.IGNORECASE):
        return "off topic"
    return ""


def _goes_round(text: str) -> bool:
    said = (part.strip(" \t*-#\"'").lower() for part in re.split(r"[\n.!?]+", text))
    times = Counter(part for part in said if len(part.split()) >= SOME_WORDS)
    return max(times.values(), default=0) > MOST_TIMES
