"""What a run is about has one identity."""

import pytest

from gateway.core.errors import InvalidInput
from gateway.runs.task import Manifest


def test_a_manifest_is_the_same_however_its_input_was_written() -> None:
    """Neither the order of keys nor the writing of numbers makes another run of it."""
    one = Manifest("turn", {"a": 1, "b": [1.0]}).hash()
    assert one == Manifest("turn", {"b": [1], "a": 1.0}).hash()
    assert one != Manifest("turn", {"a": 1, "b": [2]}).hash()
    assert one != Manifest("other", {"a": 1, "b": [1.0]}).hash()


def test_a_manifest_that_cannot_be_kept_is_refused() -> None:
    """Before anything is written."""
    with pytest.raises(InvalidInput, match=r"\$\.input\.when is a tuple"):
        Manifest("turn", {"when": ()}).hash()
