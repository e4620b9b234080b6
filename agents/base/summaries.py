"""What summaries stand for, and the conversation as models see it because of them. Pure.

A summary is an entry of the transcript; what it stands for stays there.
"""

from __future__ import annotations

from typing import cast

from agents.base.messages import Message, Messages, Said, SummaryMessage, UserMessage
from gateway.core.parts import Text

SUMMARY = "[summary of the conversation so far]\n{text}"
WANTED = SummaryMessage("", 0)
"""What an input says that asks for a summary instead of an answer. In no transcript."""
SMALLEST = 1
"""A window for which every summary serves."""


def view(history: Messages, window: int = 0) -> tuple[Said, ...]:
    """The history as a model with this window sees it, 0 for not known: the last summary that was
    made for one of its size in the place of what it stands for."""
    if SummaryMessage not in map(type, history):  # most have none, and this is looked at each call
        return cast(tuple[Said, ...], history)
    for place in reversed(range(len(history))):
        summary = history[place]
        if isinstance(summary, SummaryMessage) and _serves(summary, window):
            before = [said for said in history[:place] if _counts(said)]
            kept = before[max(len(before) - summary.keeps, 0) :]
            history = summarised(summary.text, (*kept, *history[place + 1 :]))
            break
    return tuple(said for said in history if not isinstance(said, SummaryMessage))


def summarised(summary: str, rest: Messages) -> Messages:
    """The conversation with its beginning replaced."""
    return (UserMessage((Text(SUMMARY.format(text=summary)),)), *rest)


def counted(messages: Messages) -> int:
    """How many of them a summary counts as kept."""
    return sum(map(_counts, messages))


def _serves(summary: SummaryMessage, window: int) -> bool:
    """Not where twice as much fits: a small model that stood in for a while leaves no mark."""
    return not summary.window or 0 < window <= 2 * summary.window


def _counts(message: Message) -> bool:
    """The place of a deleted message is there until it is read anew, so it does not count."""
    return not isinstance(message, SummaryMessage) and message != UserMessage(())
