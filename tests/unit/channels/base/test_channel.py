"""What the seam itself computes: lengths."""

from __future__ import annotations

import pytest

from channels.base.channel import TextUnit


@pytest.mark.parametrize(
    ("text", "chars", "utf16", "utf8"),
    [
        ("", 0, 0, 0),
        ("abc", 3, 3, 3),
        ("é", 1, 1, 2),
        ("日本", 2, 2, 6),
        ("🐙", 1, 2, 4),
        ("e\u0301", 2, 2, 3),
        ("\ud83d", 1, 1, 3),
    ],
)
def test_a_text_is_as_long_as_the_destination_finds_it(
    text: str, chars: int, utf16: int, utf8: int
) -> None:
    assert TextUnit.CHARS.length(text) == chars
    assert TextUnit.UTF16.length(text) == utf16
    assert TextUnit.BYTES.length(text) == utf8
