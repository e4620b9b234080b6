"""One text for one value, and a typed refusal, with the place, of what is none."""

import datetime
import enum
import hashlib
from typing import Any

import orjson
import pytest

from gateway.core.errors import InvalidInput
from gateway.runs.canonical import MAX_DEPTH, canonical, fingerprint, json_text

MANIFEST = {
    "projectId": "gw",
    "scenarioId": None,
    "taskId": "t1",
    "taskIntent": "chat turn",
    "taskDomain": "chat",
    "input": {"n": 2, "text": "hi"},
}


@pytest.mark.parametrize(
    ("value", "digest"),
    [
        (
            {"a": "é✓", "b": [3, 1, {"a": True, "z": None}], "k": 0, "m": 0.1, "n": 1e21},
            "ded20a65bb167b6b55fe3403be7fa0121b8f75b9008182be7fc5a37f2e77a3cf",
        ),
        (MANIFEST, "bf415d694061f948db4772d18cbc86a0d3e7b3631a4ee3ded4aad7402a5f26db"),
        (
            {"runId": "chat:s1:0", "stepIndex": 0, "intent": "llm:turn-1"},
            "a4c6b3be2724fe2d293fbee0da416d0679b3108b47ea4ebc7d7ca18302af7f92",
        ),
        (
            {"\ue000": 2, "\U0001f600": 1},
            "04208f6cdb854e2ab1b07dd3633a39dec854344fe72824cf7f2fdb4e2e33129e",
        ),
    ],
    ids=["mixed", "manifest", "step", "utf16-order"],
)
def test_a_hash_is_the_same_as_that_of_other_implementations(value: Any, digest: str) -> None:
    """Vectors made with an independent implementation of RFC 8785."""
    assert fingerprint(value) == digest
    assert fingerprint(value) == hashlib.sha256(canonical(value)).hexdigest()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (1e16, "10000000000000000"),
        (1e-7, "1e-7"),
        ("é", '"é"'),
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        (2**53 - 1, "9007199254740991"),
        (2**53, '{"__bigint":"9007199254740992"}'),
        ([-(2**70)], f'[{{"__bigint":"{-(2**70)}"}}]'),
    ],
)
def test_numbers_and_order_follow_the_standard(value: Any, text: str) -> None:
    """RFC 8785; integers that are no doubles travel in a tagged form."""
    assert canonical(value).decode() == text


class Colour(enum.StrEnum):
    RED = "red"


NESTED: list[Any] = []
NESTED.append(NESTED)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (float("nan"), "$ is nan"),
        ([1, float("inf")], "$[1] is inf"),
        ({"a": [(1, 2)]}, "$.a[0] is a tuple"),
        ({"when": datetime.datetime.fromtimestamp(0, tz=datetime.UTC)}, "$.when is a datetime"),
        (b"bytes", "$ is a bytes"),
        ({"c": Colour.RED}, "$.c is a Colour"),
        ({1: "x"}, "$ has the key 1"),
        ({"a": {"\ud800": 1}}, "$.a has the key '\\ud800'"),
        (["fine", "\udfff"], "$[1] is '\\udfff', which is not Unicode text"),
        (object(), "$ is a object"),
        (NESTED, f"is nested deeper than {MAX_DEPTH}"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value: Any, place: str) -> None:
    """Neither hashed nor kept: it would come back as something else."""
    for function in (canonical, fingerprint, json_text):
        with pytest.raises(InvalidInput) as refused:
            function(value)
        assert place in str(refused.value)


def test_a_kept_value_reads_back_equal() -> None:
    """Numbers stay what they were, to 64 bits; beyond, they are refused."""
    value = {"é": [1.5, -(2**63), 2**64 - 1, "", None, {"x": False}]}
    assert orjson.loads(json_text(value)) == value
    with pytest.raises(InvalidInput, match="cannot be kept"):
        json_text([2**64])
