"""The words of a content row, in each of the forms it is stored in."""

import json

import pytest

from gateway.core.errors import InvalidInput
from gateway.core.parts import Parts, Text
from gateway.sessions.content import words_of


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ({"role": "user", "parts": [{"type": "text", "text": "hello"}]}, (Text("hello"),)),
        ({"role": "assistant", "text": "good day"}, (Text("good day"),)),
        ({"text": "The turn was cancelled."}, (Text("The turn was cancelled."),)),
    ],
)
def test_messages_and_sentences_of_our_own_have_words(stored: object, words: Parts) -> None:
    assert words_of(json.dumps(stored)) == words


def test_a_blanked_row_has_none() -> None:
    assert words_of(None) is None


def test_a_message_of_an_unknown_role_is_refused() -> None:
    with pytest.raises(InvalidInput):
        words_of(json.dumps({"role": "oracle", "text": "?"}))
