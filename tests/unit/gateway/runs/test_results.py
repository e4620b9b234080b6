"""What a result becomes in its row."""

from __future__ import annotations

import hashlib

import pytest

from gateway.core.errors import InvalidInput, StepResultTooLarge
from gateway.runs.results import INLINE_BYTES, MAX_RESULT_BYTES, kept
from gateway.store.base.steps import PutBlob


def test_a_short_result_stands_in_its_row() -> None:
    """As canonical as it came."""
    assert kept("a step", {"a": [1, None]}) == ('{"a":[1,null]}', ())
    text, ops = kept("a step", "x" * (INLINE_BYTES - 2))
    assert (len(text), ops) == (INLINE_BYTES, ())


def test_a_long_result_stands_under_its_hash() -> None:
    """The same text twice is one blob."""
    value = "x" * INLINE_BYTES
    text = f'"{value}"'
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert kept("a step", value) == (f"blob:{digest}", (PutBlob(digest, text),))


def test_what_is_too_long_or_no_json_is_refused_by_name() -> None:
    """Bytes count, not characters."""
    with pytest.raises(StepResultTooLarge, match="a step: the result has 4194305 bytes"):
        kept("a step", "é" * ((MAX_RESULT_BYTES - 2) // 2) + "x")
    with pytest.raises(InvalidInput, match="a step: the result is not JSON"):
        kept("a step", {1: 2})
