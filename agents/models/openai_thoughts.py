"""Thoughts inside the text of an answer, told apart from what is meant for a person. Pure.

Servers that know their model send thoughts apart; others leave them in the text, between tags or in
channels. Tags inside code or quotes are text like any other. Called by `openai_answer`, one piece
after the other; a piece that may be the beginning of a tag is held back until that is decided.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORDS = ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think", "longcat_think")
TAGS = {
    **{f"<{word}>": f"</{word}>" for word in _WORDS},
    "[think]": "[/think]",  # Mistral
    "\u25c1think\u25b7": "\u25c1/think\u25b7",  # Kimi
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|start_thinking|>": "<|end_thinking|>",  # Cohere
}
"""What opens a thought, and what closes it."""

START, CHANNEL, MESSAGE = "<|start|>", "<|channel|>", "<|message|>"
ENDS = ("<|end|>", "<|return|>", "<|call|>")
SHOWN_CHANNEL = "final"
"""gpt-oss: `<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…`;
a message without a channel is shown as well."""

FENCE = "```"
QUOTES = "`'\"\u201c\u2018"
"""In front of a tag they say that it is only talked about."""

MARKS = (*TAGS, *TAGS.values(), START, CHANNEL, *ENDS, FENCE)
_STARTS = {mark[:size] for mark in (*MARKS, MESSAGE) for size in range(1, len(mark))}
_LONGEST = max(map(len, MARKS)) - 1
_MAY_BEGIN = re.compile(f"[{re.escape(''.join({mark[0] for mark in MARKS}))}]")


def _any_of(marks: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)), re.IGNORECASE)


_MARK = _any_of(MARKS)
_HEADER_END = _any_of([MESSAGE])
_CHANNEL_END = _any_of([*ENDS, START, CHANNEL])
_CLOSING = {opening: _any_of([closing]) for opening, closing in TAGS.items()}
_ANY_CLOSING = _any_of(TAGS.values())


class Thoughts:
    """Splits one answer. `opened` says that answers of this model begin inside of a thought which
    nobody opens. `misled` turns true when that is found out only now: then what `feed` has returned
    so far was a thought, and what it returns from now on is the answer."""

    def __init__(self, *, opened: bool = False) -> None:
        self.misled = False
        self._shown: list[str] = []
        self._hidden: list[str] = []
        self._rest = ""
        self._last = ""
        self._until: re.Pattern[str] | None = _ANY_CLOSING if opened else None
        self._held: list[str] = []
        self._doubtful = opened
        self._closed = False
        self._fenced = False
        self._trim = False

    @property
    def text(self) -> str:
        """All that may be shown."""
        return "".join(self._shown)

    @property
    def hidden(self) -> str:
        """All that was thought."""
        return "".join(self._hidden)

    def feed(self, text: str) -> str:
        """The next piece of the answer; returns what may be shown now."""
        if self._until is None and not self._rest and not _MAY_BEGIN.search(text):
            return self._show(text)
        self._rest += text
        return self._settle(final=False)

    def finish(self) -> str:
        """The end of the answer; returns what was held back and is text after all."""
        shown = self._settle(final=True)
        held, self._held = "".join(self._held), []
        if self._until is not None and self._doubtful:
            return shown + self._show(held)
        self._hidden.append(held)
        return shown

    def _settle(self, *, final: bool) -> str:
        """Go through the rest, mark by mark, as far as it is decided."""
        shown = ""
        while True:
            found = (self._until or _MARK).search(self._rest)
            at = found.start() if found else len(self._rest) if final else _undecided(self._rest)
            before, self._rest = self._rest[:at], self._rest[found.end() if found else at :]
            if self._until is None:
                shown += self._show(before)
            else:
                self._held.append(before)
            if found is None:
                return shown
            misled = self.misled
            shown += self._pass(found[0])
            if self.misled != misled:
                shown = ""

    def _pass(self, mark: str) -> str:
        """Go past a mark; returns it where it is only text."""
        word = mark.lower()
        if self._until is not None:
            self._close(mark)
        elif word == FENCE:
            self._fenced = not self._fenced
            return self._show(mark)
        elif self._fenced or (self._last and self._last in QUOTES):
            return self._show(mark)
        elif word in (START, CHANNEL):
            self._open(mark, _HEADER_END)
        elif word in _CLOSING:
            self._open(mark, _CLOSING[word])
            # Inside of a line it may be a word like others, if nothing closes it.
            self._doubtful = self._last not in ("", "\n")
        elif word not in ENDS and not self._closed:
            # Closed and never opened: all that was shown so far was a thought.
            self._hidden += self._shown
            self._shown.clear()
            self.misled = self._closed = self._trim = True
        return ""

    def _open(self, mark: str, until: re.Pattern[str]) -> None:
        self._until, self._held, self._doubtful = until, [mark], False

    def _close(self, mark: str) -> None:
        """Leave what `_until` ends: the header of a message, or a thought."""
        held, header = "".join(self._held), self._until is _HEADER_END
        self._until, self._held, self._closed, self._trim = None, [], True, True
        if header:
            _, _, channel = held.rpartition(CHANNEL)
            if CHANNEL in held and channel.split()[:1] != [SHOWN_CHANNEL]:
                self._open("", _CHANNEL_END)
            return
        self._hidden.append(held)
        if mark.lower() in (START, CHANNEL):
            self._open(mark, _HEADER_END)

    def _show(self, text: str) -> str:
        if self._trim:
            text = text.lstrip()
        if text:
            self._trim = False
            self._last = text[-1]
            self._shown.append(text)
        return text


def _undecided(text: str) -> int:
    """Where the end of a text begins that may be the beginning of a mark."""
    start = max(len(text) - _LONGEST, 0)
    tails = (at for at in range(start, len(text)) if text[at:].lower() in _STARTS)
    return next(tails, len(text))
