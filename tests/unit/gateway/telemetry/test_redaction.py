"""No secret is shown, however it is wrapped, and no value is shown without end."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.telemetry.redaction import (
    MASK,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_TRACE_CHARS,
    MAX_VALUE_CHARS,
    Redactor,
)

CANARY = 'can"ary/4711 é'


class Opaque:
    """An object that shows a secret."""

    def __str__(self) -> str:
        return f"<{CANARY}>"


class Broken:
    """An object that cannot be shown."""

    def __str__(self) -> str:
        raise ValueError(CANARY)


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        f"before {CANARY} and {CANARY} after",
        [CANARY, {"deep": [({CANARY},)]}],
        {CANARY: 1},
        {(CANARY, 1): 2},
        Opaque(),
        [ValueError(CANARY)],
        CANARY.encode(),
        quote(CANARY, safe=""),
        quote_plus(CANARY),
        json.dumps({"key": CANARY}),
        json.dumps([CANARY], ensure_ascii=False),
        repr([CANARY]),
        base64.b64encode(CANARY.encode()).decode(),
    ],
    ids=str,
)
def test_a_known_secret_is_masked_in_any_wrapping(value: Any) -> None:
    """Values, keys, objects, and the ways in which URLs, JSON and Python write text."""
    shown = json.dumps(Redactor([CANARY]).clean(value), ensure_ascii=False)
    assert MASK in shown
    assert "4711" not in shown
    assert "ary" not in shown


def test_secrets_that_overlap_leave_nothing_of_each_other() -> None:
    """Neither head nor tail; side by side they are two."""
    redactor = Redactor(["abcdef", "defghi", "abcdefgh", "zzzzzz"])
    assert redactor.text("<abcdefghi>") == f"<{MASK}>"
    assert redactor.text("<abcdefdefghi>") == f"<{MASK}>"
    assert redactor.text("<zzzzzzz> abcdef") == f"<{MASK}> {MASK}"


@given(
    st.lists(st.text("abc", min_size=6, max_size=9), min_size=1, max_size=4),
    st.text("abcd", max_size=60),
)
@example(["aaaaaa"], "aaaaaaaaaaa")
def test_no_occurrence_of_a_secret_survives(secrets: list[str], text: str) -> None:
    """And what is no part of one is left alone."""
    shown = Redactor(secrets).text(text)
    for piece in shown.split(MASK):
        assert not any(secret in piece for secret in secrets)
    hidden = {
        place
        for secret in secrets
        for start in range(len(text))
        if text.startswith(secret, start)
        for place in range(start, start + len(secret))
    }
    kept = "".join(letter for place, letter in enumerate(text) if place not in hidden)
    assert shown.replace(MASK, "") == kept


def test_a_word_too_short_to_be_a_secret_stays() -> None:
    """Else a line could not be read."""
    assert Redactor(["", "main"]).text("the main agent") == "the main agent"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.DEF-123~xyz", f"Authorization: Bearer {MASK}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {MASK}"),
        ("Basic authentication is required", "Basic authentication is required"),
        ("key sk-proj-abcdef1234567890 used", f"key {MASK} used"),
        ("gsk-abcdef1234567890", MASK),
        ("ghp_abcdefghijklmnop1234", MASK),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", MASK),
        ("see token-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl.", f"see {MASK}."),
        ("https://user:p@ss:word@host/x", f"https://{MASK}@host/x"),
        ("postgresql://turngate:secret@db:5432/x", f"postgresql://{MASK}@db:5432/x"),
        ("https://token@host", f"https://{MASK}@host"),
        ("https://host/a@b?c=d@e", "https://host/a@b?c=d@e"),
        ("GET /ws?token=abc&x=1", f"GET /ws?token={MASK}&x=1"),
        ("/x?a=1&api_key=abc#f", f"/x?a=1&api_key={MASK}#f"),
        ("/cb#access_token=abc", f"/cb#access_token={MASK}"),
        ("Cookie: session=abc; other=def", f"Cookie: {MASK}"),
        ("x-api-key: abcdef123", f"x-api-key: {MASK}"),
        ("mask skills and risk-averse words", "mask skills and risk-averse words"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    """Secrets nobody told us of: headers, keys of providers, URLs."""
    assert Redactor().text(text) == shown


@pytest.mark.parametrize(
    "name", ["password", "api_key", "x-api-key", "Authorization", "bot_token", "client_secret"]
)
def test_what_goes_under_a_secret_name_is_masked(name: str) -> None:
    """At any depth; numbers and flags under such a name are no secrets."""
    redactor = Redactor()
    assert redactor.clean({"in": [{name: "hunter2"}]}) == {"in": [{name: MASK}]}
    assert redactor(None, "info", {name: "hunter2"}) == {name: MASK}
    assert redactor.clean({"tokens": 12, name: 12, "key": "r1:0"}) == {
        "tokens": 12,
        name: 12,
        "key": "r1:0",
    }


def test_long_texts_are_cut_after_they_were_redacted() -> None:
    """A secret across the border leaves no half."""
    secret = "s" * 40
    shown = Redactor([secret]).text("x" * (MAX_VALUE_CHARS - 20) + secret + "y" * 100)
    assert "ss" not in shown
    assert len(shown) < MAX_VALUE_CHARS + 40
    assert shown.endswith("characters)")


def test_a_long_traceback_keeps_its_end() -> None:
    """There is what happened."""
    event = {"event": "failed", "exception": "first\n" * 5000 + "ValueError: last"}
    shown = Redactor()(None, "error", event)["exception"]
    assert shown.endswith("ValueError: last")
    assert len(shown) < MAX_TRACE_CHARS + 40


def test_listings_and_nesting_end() -> None:
    """Also of a value that holds itself."""
    redactor = Redactor()
    shown = redactor.clean(list(range(1000)))
    assert len(shown) == MAX_ITEMS + 1
    assert shown[-1] == "… (1000 items)"
    members = redactor.clean({str(n): n for n in range(1000)})
    assert len(members) == MAX_ITEMS + 1
    assert members["…"] == "(1000 members)"
    endless: list[Any] = []
    endless.append(endless)
    depth, shown = 0, redactor.clean(endless)
    while isinstance(shown, list):
        depth, shown = depth + 1, shown[0]
    assert (depth, shown) == (MAX_DEPTH, "…")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (10**5000, hex(10**5000)[:MAX_VALUE_CHARS]),
        (Broken(), "<Broken that cannot be shown: ValueError>"),
    ],
    ids=["none", "bool", "int", "float", "nan", "huge", "broken"],
)
def test_every_value_becomes_one_that_json_can_hold(value: Any, shown: Any) -> None:
    """Whatever it does when it is asked to show itself."""
    cleaned = Redactor([CANARY]).clean(value)
    assert cleaned == shown or str(cleaned).startswith(str(shown))
    assert "NaN" not in json.dumps(cleaned)
