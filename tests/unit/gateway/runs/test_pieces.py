"""Long documents, cut and joined again."""

import hashlib

import pytest

from gateway.core.errors import NotFound, TooLarge
from gateway.runs.pieces import Pieces
from gateway.store.base.store import Store
from gateway.wire.methods.run_document import MAX_PIECES, PIECE_CHARS


async def test_what_was_cut_is_joined_again(store: Store) -> None:
    """Whatever its characters need; the same text twice is one piece."""
    text = "é\U0001f600" * PIECE_CHARS
    names = await Pieces(store).keep_all(text)
    assert len(names) == 2
    assert names[0] == names[1] == hashlib.sha256(text[:PIECE_CHARS].encode()).hexdigest()
    assert await Pieces(store).load(names) == text


async def test_one_piece_missing_is_none_at_all(store: Store) -> None:
    names = [await Pieces(store).keep("a"), "0" * 64]
    with pytest.raises(NotFound, match="begin anew"):
        await Pieces(store).load(names)


async def test_there_is_a_longest_document(store: Store) -> None:
    """Refused before anything of it is kept."""
    with pytest.raises(TooLarge, match="turngate store backup"):
        await Pieces(store).keep_all("x" * (MAX_PIECES * PIECE_CHARS + 1))
