"""Cuts an answer into pieces that a destination takes. Pure; the turn boundary calls it.

A text that fits is one piece, unchanged. Of a text that does not:

- Every piece fits the limit, counted as the destination counts, and none is blank.
- A piece ends at the last paragraph in its second half, else at the last line there, sentence,
  word; without any, at the last of these in its first half; else where it is full.
- White space at a cut goes: the end of a piece, the blank lines at the start of the next, the end
  of the text. The indentation of a line that starts a piece stays.
- Code between fences is closed at the end of a piece and opened again with the same language in the
  next. Fences that the cut adds, and the closing fence a text forgot, are the only additions. Lines
  of code stay as they are, blank ones too, except blank lines that end a block at a cut. A line of
  code too long for a piece is cut, and reads as two.

So joining the pieces without the added fences gives the text but for white space at the cuts.

What a reader sees as one character stays whole where the standard library lets us know: combining
marks, sequences with joiners, skin tones, keycaps, flags, surrogates, Hangul, conjuncts. The rules
of Unicode's annex 29 are approximated, on the side of keeping together; a cluster that alone is too
long for a piece is cut between code points. Fences in block quotes are not seen. Fences that would
take most of each piece, because the limit is tiny or their first line huge, are treated as text.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from channels.base.channel import TextUnit

WIDEST = {TextUnit.CHARS: 1, TextUnit.UTF16: 2, TextUnit.BYTES: 4}
"""What one code point may take; a smaller limit could not hold each."""

FENCE_SHARE = 8
"""At least one part in so many of a piece is code, whatever its fences take."""

TRIES = 16
"""Positions looked at for a hard cut that neither splits a cluster nor makes or breaks a fence."""

_FENCE = re.compile(r"([ \t]*)(`{3,}+|~{3,}+)([^\n]*)")
_FENCE_LINE = re.compile(f"^{_FENCE.pattern}$", re.MULTILINE)
_GAP = re.compile(r"\s*\n|\s*")
_SPACE = re.compile(r"\s*")
_PARAGRAPH_END = re.compile(r"(?<=\S)(?=[^\S\n]*\n[^\S\n]*\n)")
_LINE_END = re.compile(r"(?<=\S)(?=[^\S\n]*\n)")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*(?=\s)|(?<=[。！？])[”’）」』]*")  # noqa: RUF001
_WORD_END = re.compile(r"(?<=\S)(?=\s)")
_CODE_LINE_END = re.compile(r"(?=\n)")
_CODE_WORD_END = re.compile(r"(?<=\S[ \t])(?=\S)")


def chunk(text: str, limit: int | None, unit: TextUnit) -> tuple[str, ...]:
    """The pieces of `text`, in order; none for a blank text.

    Raises `ValueError` for a limit that could not hold every code point.
    """
    if limit is not None and limit < WIDEST[unit]:
        raise ValueError(f"a limit in {unit} is at least {WIDEST[unit]}, got {limit!r}")
    if not text or text.isspace():
        return ()
    if limit is None or unit.length(text) <= limit:
        return (text,)
    return tuple(_Cutter(text.rstrip(), limit, unit).pieces())


@dataclass(frozen=True, slots=True)
class _Block:
    """Fenced code. Positions: its opening line, its code, the end of the code, the end of all."""

    start: int
    code: int
    code_end: int
    end: int
    closed: bool
    marker: str
    opener: str
    """Opens it again: indentation, fence, language, line end."""
    closer: str
    """Closes it early: line end, indentation, fence."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A piece ends at `end`, the next starts at `next`; `inside` is the code block it divides."""

    end: int
    next: int
    inside: _Block | None = None


@dataclass(frozen=True, slots=True)
class _Window:
    """Where the piece that starts at `at` may end.

    Outside code up to `last`; inside `block`, the one that does not end within the piece, up to
    `inner`, which leaves room to close it.
    """

    at: int
    last: int
    block: _Block | None
    inner: int


class _Cutter:
    def __init__(self, text: str, limit: int, unit: TextUnit) -> None:
        self._text = text
        self._limit = limit
        self._unit = unit
        self._blocks = [block for block in _blocks(text) if self._leaves_room(block)]
        self._starts = [block.start for block in self._blocks]

    def pieces(self) -> Iterator[str]:
        at = self._after_gap(0)
        while at < len(self._text):
            around = self._block_before(at)
            if around is not None and at >= around.code_end:
                around = None
            opener = "" if around is None else around.opener
            cut = self._next_cut(at, self._limit - self._unit.length(opener))
            body = self._text[at : cut.end]
            if cut.inside is not None:
                yield f"{opener}{body}{cut.inside.closer}"
            elif body := body.rstrip():
                yield f"{opener}{body}"
            at = cut.next

    # --- where to cut ----------------------------------------------------------------------------

    def _next_cut(self, at: int, room: int) -> _Cut:
        full = self._reach(at, room)
        block = self._block_before(full)
        if block is None or (block.closed and full >= block.end):
            window = _Window(at, full, None, at)
        else:
            inner = self._reach(at, room - self._unit.length(block.closer))
            if block.closed:
                inner = min(inner, block.code_end - 1)
            window = _Window(at, block.start, block, inner)
        if max(window.inner, window.last) == len(self._text):
            return _Cut(len(self._text), len(self._text), window.block)
        return self._preferred(window, at + (full - at) // 2) or self._hard(window)

    def _preferred(self, window: _Window, middle: int) -> _Cut | None:
        ranks = (
            self._outside(_PARAGRAPH_END, window),
            self._outside(_LINE_END, window) + self._inside(_CODE_LINE_END, window),
            self._outside(_SENTENCE_END, window),
            self._outside(_WORD_END, window),
        )
        # A line of code is divided only when nothing else is left: it reads as two then.
        last = (self._inside(_CODE_WORD_END, window),)
        for least, rank in ((middle, ranks), (0, ranks), (0, last)):
            for ends in rank:
                for end in reversed(ends):
                    if end < least:
                        break
                    if self._harmless(window.at, cut := self._cut(end, window.block)):
                        return cut
        return None

    def _outside(self, pattern: re.Pattern[str], window: _Window) -> list[int]:
        return [
            end
            for end in self._ends(pattern, window.at + 1, window.last)
            if (block := self._block_before(end)) is None or end >= block.end
        ]

    def _inside(self, pattern: re.Pattern[str], window: _Window) -> list[int]:
        if window.block is None:
            return []
        first = max(window.at + 1, window.block.code)
        return list(self._ends(pattern, first, window.inner))

    def _ends(self, pattern: re.Pattern[str], first: int, last: int) -> Iterator[int]:
        # Patterns look behind the end they find, but not far: else each piece reads all the rest.
        for found in pattern.finditer(self._text, first, last + self._limit):
            if found.end() > last:
                return
            yield found.end()

    def _hard(self, window: _Window) -> _Cut:
        block = window.block
        full = window.last if block is None else window.inner
        first = window.at if block is None else max(window.at, block.code)
        whole = (
            end for end in range(full, first, -1) if _between_clusters(self._text, window.at, end)
        )
        fullest: _Cut | None = None
        for end in islice(whole, TRIES):
            cut = self._cut(end, block)
            if self._harmless(window.at, cut):
                return cut
            fullest = fullest or cut
        # None is whole in a cluster longer than the piece.
        return fullest or self._cut(full, block)

    def _cut(self, end: int, block: _Block | None) -> _Cut:
        """Cut at `end`, which divides `block` when it lies behind its first line."""
        if block is None or end < block.code - 1:
            return _Cut(end, self._after_gap(end))
        then = end + 1 if self._text[end] == "\n" else end
        space = _SPACE.match(self._text, then)
        if space is not None and space.end() >= block.code_end:
            return _Cut(end, self._after_gap(block.end), block)
        return _Cut(end, then, block)

    def _harmless(self, at: int, cut: _Cut) -> bool:
        """Whether the cut leaves clusters whole, and fences what they are, on both its sides."""
        text = self._text
        if "\n" in text[cut.end : cut.next]:
            return True  # the lines on both sides are whole
        if not _between_clusters(text, at, cut.end):
            return False
        line = max(at, text.rfind("\n", at, cut.end) + 1)
        head = _FENCE.match(text, line, cut.end)
        # No more of the line than the next piece can show: a later cut looks at the rest.
        tail = _FENCE.match(text, cut.next, cut.next + self._limit)
        if cut.inside is None:
            return not _opens(head) and not _opens(tail)
        return not _closes(head, cut.inside.marker) and not _closes(tail, cut.inside.marker)

    # --- what is where ---------------------------------------------------------------------------

    def _reach(self, at: int, room: int) -> int:
        """The position furthest from `at` that `room` units lead to."""
        piece = self._text[at : at + room]
        if self._unit.length(piece) <= room:
            return at + len(piece)
        lengths = range(len(piece) + 1)
        return at - 1 + bisect_right(lengths, room, key=lambda n: self._unit.length(piece[:n]))

    def _after_gap(self, at: int) -> int:
        """Past the white space at `at`, but not past the indentation of a line."""
        gap = _GAP.match(self._text, at)
        end = at if gap is None else gap.end()
        if at < end < len(self._text) and _extends(self._text[end]) and self._text[end - 1] != "\n":
            return end - 1  # a space that carries a mark
        return end

    def _block_before(self, at: int) -> _Block | None:
        """The last block that starts before `at`; it may have ended as well."""
        index = bisect_left(self._starts, at)
        return self._blocks[index - 1] if index else None

    def _leaves_room(self, block: _Block) -> bool:
        first_line = self._text[block.start : block.code]
        fences = max(self._unit.length(first_line), self._unit.length(block.opener))
        code = self._limit - fences - self._unit.length(block.closer)
        return code >= max(WIDEST[self._unit], self._limit // FENCE_SHARE)


# --- fences --------------------------------------------------------------------------------------


def _blocks(text: str) -> Iterator[_Block]:
    opening: re.Match[str] | None = None
    for line in _FENCE_LINE.finditer(text):
        if opening is None:
            opening = line if _opens(line) else None
        elif _closes(line, opening[2]):
            yield _block(opening, line.start(), line.end(2), closed=True)
            opening = None
    if opening is not None:
        yield _block(opening, len(text), len(text), closed=False)


def _block(opening: re.Match[str], code_end: int, end: int, *, closed: bool) -> _Block:
    indent, marker, info = opening.groups()
    return _Block(
        start=opening.start(),
        code=min(opening.end() + 1, code_end),
        code_end=code_end,
        end=end,
        closed=closed,
        marker=marker,
        opener=f"{indent}{marker}{' '.join(info.split()[:1])}\n",
        closer=f"\n{indent}{marker}",
    )


def _opens(line: re.Match[str] | None) -> bool:
    return line is not None and not (line[2][0] == "`" and "`" in line[3])


def _closes(line: re.Match[str] | None, marker: str) -> bool:
    return line is not None and line[2].startswith(marker) and not line[3].strip()


# --- clusters ------------------------------------------------------------------------------------

_JOINER = "\u200d"
# Not marks by category, yet shown with what they follow: joiners, half-width voicing, Thai and Lao
# vowels, then ranges of skin tones, tags, and the vowels and finals of Hangul written as letters.
_EXTENDING = frozenset("\u200c\u200d\uff9e\uff9f\u0e33\u0eb3")
_EXTENDING_RANGES = (
    ("\U0001f3fb", "\U0001f3ff"),
    ("\U000e0020", "\U000e007f"),
    ("\u1160", "\u11ff"),
    ("\ud7b0", "\ud7fb"),
)
_VIRAMA = 9
"""Combining class of the sign that joins two consonants of an Indic script."""


def _between_clusters(text: str, start: int, at: int) -> bool:
    """Whether `at` divides no character as a reader sees them; `start` is known to be between."""
    before, after = text[at - 1], text[at]
    if _is_flag_letter(before) and _is_flag_letter(after):
        first = at
        while first > start and _is_flag_letter(text[first - 1]):
            first -= 1
        return (at - first) % 2 == 0
    return not _joined(before, after)


def _joined(before: str, after: str) -> bool:
    if _extends(after):
        return True
    if before == _JOINER:
        return not after.isspace()
    if unicodedata.combining(before) == _VIRAMA:
        return unicodedata.category(after) == "Lo"
    if "\ud800" <= before <= "\udbff":
        return "\udc00" <= after <= "\udfff"
    return _is_hangul_initial(before) and (_is_hangul_initial(after) or "가" <= after <= "힣")


def _extends(character: str) -> bool:
    return (
        unicodedata.category(character)[0] == "M"
        or character in _EXTENDING
        or any(low <= character <= high for low, high in _EXTENDING_RANGES)
    )


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_hangul_initial(character: str) -> bool:
    return "\u1100" <= character <= "\u115f" or "\ua960" <= character <= "\ua97c"
