"""What holds for every text and every limit: see the promises in `gateway.delivery.chunks`.

The reader of fences below is written apart from the code under test: it is what a destination does
with one piece, knowing nothing of the others.
"""

from __future__ import annotations

import re
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.base.channel import TextUnit
from gateway.delivery.chunks import chunk

CLUSTERS = {
    "letter": "a",
    "cjk": "日",
    "astral-cjk": "𠮷",
    "emoji": "🐙",
    "combining": "e\u0301",
    "many-marks": "o\u0302\u0323\u0308",
    "skin-tone": "👍🏽",
    "family": "👨\u200d👩\u200d👧\u200d👦",
    "keycap": "1\ufe0f\u20e3",
    "flag": "🇩🇪",
    "subdivision-flag": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "hangul-letters": "\u1112\u1161\u11ab",
    "conjunct": "क्ष",
    "thai": "น\u0e33",
    "voiced-half-width": "ｶ\uff9e",
    "surrogates": "\ud83d\ude00",
}
"""Each is one character for a reader, by Unicode's annex 29."""

UNITS = st.sampled_from(TextUnit)
WHITE_SPACE = [" ", "  ", "\n", "\n\n", "\r\n", "\t", "\u3000", "\u00a0", " \n \n", "\n    "]
PUNCTUATION = [". ", "。", "! ", "?)", "…"]
words = st.sampled_from([*CLUSTERS.values(), "word", "longerword", *PUNCTUATION])
plain_atoms = st.lists(st.one_of(words, st.sampled_from(WHITE_SPACE)), max_size=120)


def check_pieces(pieces: tuple[str, ...], limit: int, unit: TextUnit) -> None:
    for piece in pieces:
        assert unit.length(piece) <= limit
        assert piece.strip()


def spans(text: str, pieces: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where each piece lies in the text; only white space may lie between two."""
    found, at = [], 0
    for piece in pieces:
        while not text.startswith(piece, at):
            assert at < len(text)
            assert text[at].isspace(), f"{text[at:]!r} should start with {piece!r}"
            at += 1
        found.append((at, at + len(piece)))
        at += len(piece)
    assert not text[at:].strip()
    return found


# --- text ----------------------------------------------------------------------------------------


@given(st.text(), st.integers(4, 60), UNITS)
@example("\u0301" * 9, 4, TextUnit.BYTES)
@example(" \u0301" * 9, 4, TextUnit.UTF16)
def test_any_text_is_cut_in_order_and_nothing_but_white_space_is_lost(
    text: str, limit: int, unit: TextUnit
) -> None:
    if re.search("`{3}|~{3}", text):
        return
    pieces = chunk(text, limit, unit)
    check_pieces(pieces, limit, unit)
    spans(text, pieces)


@given(plain_atoms, st.integers(60, 200), UNITS)
def test_no_cluster_is_divided(atoms: list[str], limit: int, unit: TextUnit) -> None:
    """The limits hold the longest cluster, so none needs to be."""
    text = "".join(atoms)
    pieces = chunk(text, limit, unit)
    check_pieces(pieces, limit, unit)
    borders = {0, *accumulate(map(len, atoms))}
    # White space is cut inside of its atoms, and does not stick to anything.
    borders |= {at for at in range(len(text)) if text[at].isspace() or text[at - 1].isspace()}
    borders |= {at for at in range(len(text)) if text[at - 1 : at + 1].isascii()}
    for start, end in spans(text, pieces):
        assert {start, end} <= borders


@pytest.mark.parametrize("unit", TextUnit)
@pytest.mark.parametrize("limit", [2000, 4096])
@pytest.mark.parametrize("name", CLUSTERS)
def test_a_cluster_at_a_real_limit_stays_whole(name: str, limit: int, unit: TextUnit) -> None:
    """At every offset around the end of the first piece, and again at the end of the second."""
    cluster = CLUSTERS[name]
    width = unit.length(cluster)
    for offset in range(width + 2):
        filled = "x" * (limit - offset)
        text = f"{filled}{cluster * 3}{filled}{cluster}tail"
        pieces = chunk(text, limit, unit)
        check_pieces(pieces, limit, unit)
        assert "".join(pieces) == text
        assert sum(piece.count(cluster) for piece in pieces) == text.count(cluster)
        assert limit - width < unit.length(pieces[0]) <= limit


@given(st.sampled_from([*CLUSTERS.values()]), st.integers(1, 30), UNITS)
def test_limits_smaller_than_a_cluster_still_lose_nothing(
    cluster: str, limit: int, unit: TextUnit
) -> None:
    if limit < {"chars": 1, "utf16": 2, "bytes": 4}[unit]:
        with pytest.raises(ValueError, match="at least"):
            chunk(cluster, limit, unit)
        return
    text = cluster * 7
    pieces = chunk(text, limit, unit)
    check_pieces(pieces, limit, unit)
    assert "".join(pieces) == text


# --- code ----------------------------------------------------------------------------------------

FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})(.*)", re.DOTALL)


def read(piece: str) -> tuple[list[str], list[tuple[str, str]], bool]:
    """Lines of text, lines of code with their language, and whether all fences are closed."""
    texts: list[str] = []
    codes: list[tuple[str, str]] = []
    fence, language = "", ""
    for line in piece.split("\n"):
        found = FENCE.fullmatch(line)
        if fence:
            if found and found[1].startswith(fence) and not found[2].strip():
                fence = ""
            else:
                codes.append((language, line))
        elif found and not (found[1][0] == "`" and "`" in found[2]):
            fence, language = found[1], " ".join(found[2].split()[:1])
        else:
            texts.append(line)
    return texts, codes, not fence


paragraphs = st.lists(words, min_size=1, max_size=20).map(lambda atoms: " ".join(atoms))
code_lines = st.lists(
    st.sampled_from(["", "x = 1", "  return y", "日本 🐙", "```` not a fence", "`tick`", "\ttab "]),
    max_size=20,
)
fenced = st.builds(
    lambda fence, language, lines: "\n".join([fence + language, *lines, fence]),
    st.sampled_from(["~~~", "~~~~~"]),
    st.sampled_from(["", "py", " js title=x"]),
    code_lines,
)


@given(st.lists(st.one_of(paragraphs, fenced), min_size=1, max_size=8), st.integers(90, 300), UNITS)
def test_code_is_the_same_code_and_fences_are_balanced(
    parts: list[str], limit: int, unit: TextUnit
) -> None:
    text = "\n\n".join(parts)
    pieces = chunk(text, limit, unit)
    check_pieces(pieces, limit, unit)
    texts, codes = [], []
    for piece in pieces:
        piece_texts, piece_codes, balanced = read(piece)
        assert balanced, piece
        texts += piece_texts
        codes += piece_codes
    expected_texts, expected_codes, _ = read(text)
    assert "".join("".join(texts).split()) == "".join("".join(expected_texts).split())
    # Blank lines that end a block at a cut are white space at a cut.
    assert [code for code in codes if code[1]] == [code for code in expected_codes if code[1]]


@given(st.integers(30, 80), st.integers(1, 40), UNITS)
def test_blank_lines_between_lines_of_code_stay(limit: int, blank: int, unit: TextUnit) -> None:
    lines = ["first", *[""] * blank, "last"]
    pieces = chunk("\n".join(["```py", *lines, "```", "x" * limit]), limit, unit)
    check_pieces(pieces, limit, unit)
    assert [line for piece in pieces for _, line in read(piece)[1]] == lines


ticks = st.sampled_from(
    ["```", "~~~", "````", "`", "```py", "\n```\n", "\n~~~\n", "\n", "a", " b "]
)


@given(st.lists(ticks, max_size=150).map("".join), st.integers(60, 120), UNITS)
def test_fences_stay_balanced_whatever_the_text_does_with_them(
    text: str, limit: int, unit: TextUnit
) -> None:
    """Ticks within lines, forgotten ends, fences within fences; lines a fence cannot use."""
    pieces = chunk(text, limit, unit)
    check_pieces(pieces, limit, unit)
    longest = max(map(len, re.findall(r"^[ \t]*(?:`{3,}|~{3,}).*", text, re.MULTILINE)), default=0)
    if len(pieces) > 1 and longest <= limit // 4:
        assert all(read(piece)[2] for piece in pieces)


@given(st.lists(st.one_of(ticks, words), max_size=150).map("".join), st.integers(4, 60), UNITS)
def test_tiny_limits_hold_with_fences_too(text: str, limit: int, unit: TextUnit) -> None:
    pieces = chunk(text, limit, unit)
    check_pieces(pieces, limit, unit)
    assert len(pieces) <= len(text)
    assert chunk(text, limit, unit) == pieces
