"""Where an answer is cut, and what a cut does to white space, code and characters.

What holds for every text is in tests/properties/test_chunks.py.
"""

from __future__ import annotations

import pytest

from channels.base.channel import TextUnit
from gateway.delivery.chunks import chunk


def cut(text: str, limit: int, unit: TextUnit = TextUnit.CHARS) -> list[str]:
    return list(chunk(text, limit, unit))


# --- what is not cut -----------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [None, 4, 2000])
@pytest.mark.parametrize("text", ["", " ", "\n \n", "\u3000" * 10])
def test_a_text_with_nothing_to_see_has_no_pieces(text: str, limit: int | None) -> None:
    assert chunk(text, limit, TextUnit.CHARS) == ()


@pytest.mark.parametrize("text", ["hi", " \n hi \n\n", "```\nnever closed", "x" * 4000])
def test_a_text_that_fits_is_unchanged(text: str) -> None:
    assert chunk(text, 4000, TextUnit.CHARS) == (text,)
    assert chunk(text, None, TextUnit.CHARS) == (text,)


@pytest.mark.parametrize(
    ("unit", "length"), [(TextUnit.CHARS, 2), (TextUnit.UTF16, 3), (TextUnit.BYTES, 7)]
)
def test_a_limit_counts_in_the_unit_of_the_destination(unit: TextUnit, length: int) -> None:
    text = "日🐙"
    assert chunk(text, length, unit) == (text,)
    if length > 4:
        assert chunk(text, length - 1, unit) == ("日", "🐙")


@pytest.mark.parametrize(
    ("unit", "limit"), [(TextUnit.CHARS, 0), (TextUnit.UTF16, 1), (TextUnit.BYTES, 3)]
)
def test_a_limit_that_cannot_hold_every_character_is_refused(unit: TextUnit, limit: int) -> None:
    with pytest.raises(ValueError, match=f"at least {limit + 1}, got {limit}"):
        chunk("🐙", limit, unit)


# --- where a text is cut -------------------------------------------------------------------------


def test_a_paragraph_comes_before_a_line() -> None:
    assert cut("one two 3\n\nfour\nfive six", 16) == ["one two 3", "four\nfive six"]


def test_a_line_comes_before_a_sentence() -> None:
    assert cut("one two 3\nfour. five six", 16) == ["one two 3", "four. five six"]


def test_a_sentence_comes_before_a_word() -> None:
    assert cut("One two. Three four five.", 16) == ["One two.", "Three four five."]


def test_a_sentence_ends_behind_its_closing_quote() -> None:
    assert cut('He said "no." Then he left.', 18) == ['He said "no."', "Then he left."]


def test_a_sentence_of_a_script_without_spaces_ends_at_its_mark() -> None:
    assert cut("日本語です。次の文です。", 8) == ["日本語です。", "次の文です。"]


def test_a_word_comes_before_a_hard_cut() -> None:
    assert cut("aaaa bbbb cccc", 12) == ["aaaa bbbb", "cccc"]


def test_a_word_longer_than_a_piece_is_cut_where_the_piece_is_full() -> None:
    assert cut("abcdefghij", 4) == ["abcd", "efgh", "ij"]


def test_a_paragraph_early_in_a_piece_does_not_end_it() -> None:
    """A greeting does not travel alone when words fill the rest."""
    assert cut("hi\n\none two three four", 16) == ["hi\n\none two", "three four"]


def test_any_cut_in_the_first_half_is_better_than_a_hard_one() -> None:
    assert cut("hi\n\n" + "x" * 20, 20) == ["hi", "x" * 20]


# --- white space at a cut ------------------------------------------------------------------------


def test_blank_lines_at_a_cut_go_and_indentation_stays() -> None:
    assert cut("- item one  \n\n\n    - nested", 16) == ["- item one", "    - nested"]


def test_white_space_in_the_middle_of_a_piece_stays() -> None:
    assert cut("a  b\n\n\nc\td, and so on", 13) == ["a  b\n\n\nc\td,", "and so on"]


def test_more_white_space_than_fits_a_piece_makes_no_piece() -> None:
    assert cut("a" + " " * 50 + "b" + "\n" * 50 + "\u00a0" * 50 + "c", 10) == ["a", "b", "c"]


def test_windows_line_ends_go_whole() -> None:
    assert cut("first line\r\nsecond line\r\n", 12) == ["first line", "second line"]


def test_a_space_that_carries_a_mark_is_not_white_space() -> None:
    assert cut("aaa \u0301bbb", 4) == ["aaa", " \u0301bb", "b"]


# --- code ----------------------------------------------------------------------------------------


def test_code_is_closed_and_opened_again_with_its_language() -> None:
    assert cut("Look:\n```py title=x\none()\ntwo()\nthree()\n```\nDone.", 34) == [
        "Look:\n```py title=x\none()\n```",
        "```py\ntwo()\nthree()\n```\nDone.",
    ]


def test_a_cut_before_the_block_leaves_it_whole() -> None:
    text = "Some words in front.\n```py\none()\ntwo()\n```"
    assert cut(text, 30) == ["Some words in front.", "```py\none()\ntwo()\n```"]


def test_indented_and_tilde_fences_come_back_as_they_are() -> None:
    assert cut("1. do:\n   ~~~~sh\n   first\n   second\n   ~~~~", 36) == [
        "1. do:\n   ~~~~sh\n   first\n   ~~~~",
        "   ~~~~sh\n   second\n   ~~~~",
    ]


def test_a_shorter_fence_within_code_is_code() -> None:
    pieces = cut("````md\n```\ninner\n```\nmore text here\n````", 30)
    assert pieces == ["````md\n```\ninner\n```\n````", "````md\nmore text here\n````"]


def test_blank_lines_of_code_stay_and_those_at_its_end_go() -> None:
    assert cut("```\nfirst\n\n\nsecond line\n\n\n```\nafter the code", 19) == [
        "```\nfirst\n\n\n```",
        "```\nsecond line\n```",
        "after the code",
    ]


def test_a_line_of_code_too_long_for_a_piece_is_cut_at_a_word() -> None:
    assert cut("```\naaaaaaaa bbbbbbbb cccccccc\n```", 26) == [
        "```\naaaaaaaa bbbbbbbb \n```",
        "```\ncccccccc\n```",
    ]


def test_a_block_the_text_forgot_to_close_is_closed_when_cut() -> None:
    assert cut("```\nfirst line\nsecond line", 24) == [
        "```\nfirst line\n```",
        "```\nsecond line\n```",
    ]


def test_a_fence_only_named_in_a_line_stays_in_the_middle_of_a_line() -> None:
    """Cut in front of it, the rest of the line would read as the start of a block."""
    assert cut("write words, then ``` to begin", 20) == ["write words,", "then ``` to begin"]


def test_a_line_of_code_is_not_cut_into_the_end_of_its_block() -> None:
    assert cut("```\nbbbb aaaaaaaaa ```````\n```", 26) == [
        "```\nbbbb \n```",
        "```\naaaaaaaaa ```````\n```",
    ]


def test_a_line_of_code_that_starts_like_a_fence_is_not_cut_into_one() -> None:
    assert cut("```\n``` cccccccccccccccccccc\n```", 26) == [
        "```\n``` cccccccccccccc\n```",
        "```\ncccccc\n```",
    ]


def test_a_line_of_text_that_starts_like_a_fence_is_not_cut_into_one() -> None:
    """Ticks further on are what tells it from a fence; the first piece keeps one."""
    assert cut("``` aaaa bbbb `cc` dddd", 16) == ["``` aaaa bbbb `c", "c` dddd"]


def test_a_fence_with_words_behind_it_does_not_close() -> None:
    assert cut("```\n``` first\nsecond line\n```", 24) == [
        "```\n``` first\n```",
        "```\nsecond line\n```",
    ]


def test_fences_do_not_multiply_a_text() -> None:
    fence = "`" * 46
    assert len(cut(f"{fence}\n{'x' * 600}\n{fence}", 100)) <= 8


def test_fences_that_would_fill_a_piece_are_text() -> None:
    text = "```" + "x" * 40 + "\n\ncode\n```"
    assert cut(text, 20) == ["```" + "x" * 17, "x" * 20, "xxx\n\ncode\n```"]


def test_a_closing_fence_of_absurd_length_is_replaced() -> None:
    assert cut("```\ncode\n" + "`" * 40 + "\nafter", 20) == ["```\ncode\n```", "after"]
    assert cut("```\n" + "`" * 40 + "\nafter", 20) == ["```\n```", "after"]


# --- characters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cluster",
    [
        "e\u0301",
        "👍🏽",
        "👩\u200d🚀",
        "🇩🇪",
        "1\ufe0f\u20e3",
        "\u1112\u1161\u11ab",
        "\u1112가",
        "क्ष",
    ],
)
def test_what_reads_as_one_character_is_not_divided(cluster: str) -> None:
    assert cut(f"abc{cluster}", 4) == ["abc", cluster]


def test_a_mark_on_the_end_of_a_sentence_stays_on_it() -> None:
    assert cut("日本語。\u0301日本語日", 5) == ["日本語。\u0301", "日本語日"]


def test_flags_side_by_side_are_told_apart() -> None:
    assert cut("🇩🇪🇫🇷🇯🇵", 5) == ["🇩🇪🇫🇷", "🇯🇵"]


def test_a_pair_of_surrogates_stays_together_and_a_lone_one_is_a_character() -> None:
    assert cut("ab\ud83d\ude00", 3) == ["ab", "\ud83d\ude00"]
    assert cut("ab\ud83dcd", 3) == ["ab\ud83d", "cd"]


def test_a_cluster_longer_than_a_piece_is_cut_between_code_points() -> None:
    assert cut("e" + "\u0301" * 6, 4) == ["e\u0301\u0301\u0301", "\u0301\u0301\u0301"]
