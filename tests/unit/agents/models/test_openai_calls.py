"""Tool calls put together from the pieces that servers send, nothing run twice."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.base.messages import ToolCall
from agents.models.openai_calls import MAX_CALLS, Calls
from gateway.core.errors import ModelFailed

UTC, TOKYO = '{"zone": "UTC"}', '{"zone": "Asia/Tokyo"}'


def piece(
    index: int | None = 0, id_: str | None = None, name: str | None = None, args: object = ""
) -> object:
    said = {"index": index, "id": id_, "function": {"name": name, "arguments": args}}
    return {key: value for key, value in said.items() if value is not None}


def whole(*pieces: object) -> list[tuple[str, str]]:
    calls = Calls()
    for each in pieces:
        calls.take(each)
    return [(call.name, call.arguments) for call, _ in calls.whole()]


BOTH = [("now", UTC), ("now", TOKYO)]
ONE = [("now", UTC)]
FORMS: dict[str, tuple[tuple[object, ...], list[tuple[str, str]]]] = {
    "indices": ((piece(0, "a", "now", UTC), piece(1, "b", "now", TOKYO)), BOTH),
    "one index, no ids": ((piece(0, "", "now", UTC), piece(0, "", "now", TOKYO)), BOTH),
    "one index, one id": ((piece(0, "x", "now", UTC), piece(0, "x", "now", TOKYO)), BOTH),
    "one index, two ids": ((piece(0, "a", "now", UTC), piece(0, "b", "now", TOKYO)), BOTH),
    "no index, no ids": ((piece(None, None, "now", UTC), piece(None, None, "now", TOKYO)), BOTH),
    "two objects in a row": ((piece(0, "a", "now", UTC + TOKYO),), BOTH),
    "two objects, a comma between": ((piece(0, "a", "now", f"{UTC}, {TOKYO}"),), BOTH),
    "a head, then two objects": (
        (piece(0, "a", "now"), piece(0, None, "", UTC), piece(0, None, "", TOKYO)),
        BOTH,
    ),
    "objects where text is due": (
        (piece(0, "a", "now", json.loads(UTC)), piece(1, "b", "now", json.loads(TOKYO))),
        BOTH,
    ),
    "an empty object in front": ((piece(0, "a", "now", "{}"), piece(0, args=UTC)), ONE),
    "an empty object in front, the name again": (
        (piece(0, "a", "now", "{}"), piece(0, "a", "now", UTC)),
        ONE,
    ),
    "pieces, then the whole": (
        (piece(0, "a", "now", UTC[:5]), piece(0, args=UTC[5:]), piece(0, "a", "now", UTC)),
        ONE,
    ),
    "pieces, then the whole without a name": (
        (piece(0, "a", "now", UTC[:5]), piece(0, args=UTC[5:]), piece(0, args=UTC)),
        ONE,
    ),
    "the same call at two indices": ((piece(0, "a", "now", UTC), piece(1, "a", "now", UTC)), ONE),
    "the same call, written otherwise": (
        (piece(0, "", "now", UTC), piece(0, "", "now", UTC.replace(" ", ""))),
        ONE,
    ),
    "alike, with ids of their own": (
        (piece(0, "a", "now", UTC), piece(1, "b", "now", UTC)),
        [("now", UTC), ("now", UTC)],
    ),
    "the name with each piece, no index": (
        (piece(None, "a", "now", UTC[:5]), piece(None, "a", "now", UTC[5:])),
        ONE,
    ),
    "no arguments": ((piece(0, "a", "now", None),), [("now", "")]),
    "no JSON": ((piece(0, "a", "now", "{oops"),), [("now", "{oops")]),
    "no object": ((piece(0, "a", "now", "[1][2]"),), [("now", "[1][2]")]),
}


@pytest.mark.parametrize("form", FORMS)
def test_calls_are_told_apart_and_put_together(form: str) -> None:
    pieces, expected = FORMS[form]
    assert whole(*pieces) == expected


def test_the_first_of_several_keeps_the_id() -> None:
    calls = Calls()
    calls.take(piece(0, "a", "now", UTC + TOKYO))
    made = tuple(call for call, _ in calls.whole())
    assert made == (ToolCall("a", "now", UTC), ToolCall("", "now", TOKYO))


def test_a_call_without_a_name_or_too_many_are_refused() -> None:
    with pytest.raises(ModelFailed, match="no name"):
        whole(piece(0, "a", None, "{}"))
    many = "".join(f'{{"n": {n}}}' for n in range(MAX_CALLS + 1))
    with pytest.raises(ModelFailed, match=f"more than {MAX_CALLS}"):
        whole(piece(0, "a", "now", many))


ARGUMENTS = st.dictionaries(st.text(max_size=3), st.integers(), min_size=1, max_size=3).map(
    json.dumps
)


@given(
    arguments=st.lists(
        ARGUMENTS, min_size=1, max_size=4, unique_by=lambda text: json.dumps(json.loads(text))
    ),
    cut=st.integers(1, 5),
)
def test_calls_cut_anywhere_are_what_was_sent(arguments: list[str], cut: int) -> None:
    pieces: list[object] = []
    for index, text in enumerate(arguments):
        pieces.append(piece(index, f"id{index}", "now"))
        pieces += [piece(index, args=text[at : at + cut]) for at in range(0, len(text), cut)]
    assert whole(*pieces) == [("now", text) for text in arguments]
