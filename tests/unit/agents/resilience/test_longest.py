"""Failures without a reason that only the longest prompt meets."""

from __future__ import annotations

from agents.resilience.longest import MAX_SESSIONS, Longest

KEY = ("k1", "big")


def worth(longest: Longest, tokens: int, *, session: str = "s", certainly: bool = False) -> bool:
    return longest.worth_shortening(KEY, session, tokens, certainly=certainly)


def test_the_longest_prompt_that_fails_again_gets_one_try_until_an_answer() -> None:
    longest = Longest()
    longest.answered(KEY, "s", 100)
    assert [worth(longest, 200) for _ in range(4)] == [False, True, False, False]
    longest.answered(KEY, "s", 120)
    assert [worth(longest, 200) for _ in range(2)] == [False, True]


def test_shorter_prompts_and_unknown_models_are_not_shortened() -> None:
    longest = Longest()
    assert [worth(longest, 200) for _ in range(3)] == [False] * 3
    longest.answered(KEY, "b", 300)
    assert not worth(longest, 200)


def test_where_the_request_is_at_fault_once_is_enough() -> None:
    longest = Longest()
    longest.answered(KEY, "b", 100)
    assert worth(longest, 200, certainly=True)
    assert not worth(longest, 200, certainly=True)


def test_sessions_are_bounded() -> None:
    longest = Longest()
    longest.answered(KEY, "b", 100)
    worth(longest, 200, session="first", certainly=True)
    for number in range(MAX_SESSIONS):
        worth(longest, 50, session=f"s{number}")
    assert worth(longest, 200, session="first", certainly=True)
