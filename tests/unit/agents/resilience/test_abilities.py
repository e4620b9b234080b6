"""What a model takes, from settings and from what its server told or refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.base.models import USUAL, Dialect
from agents.base.profiles import NOTHING, Learnt
from agents.models.profile import Profile
from agents.resilience import abilities

PLAIN = Profile("http://h/v1", "", "big")


def test_without_news_everything_is_taken_in_the_usual_way() -> None:
    able = abilities.of(PLAIN, NOTHING)
    assert able.takes("tools")
    assert able.dialect == USUAL
    assert able.left_out == ()


def test_a_setting_wins_over_what_was_learnt() -> None:
    pinned = replace(PLAIN, pinned=frozenset({"tools"}), images=False, simultaneous=2)
    able = abilities.of(pinned, Learnt(lacks=("stream_options", "tools"), slots=1))
    assert able.takes("tools")
    assert not able.takes("images")
    assert (able.simultaneous, able.left_out) == (2, ("stream_options",))
    assert not abilities.can_learn(pinned, able, "tools")
    assert not abilities.can_learn(pinned, able, "stream_options"), "it is left out already"
    assert abilities.can_learn(pinned, able, "system")
    assert not abilities.can_learn(pinned, able, "messages"), "nothing can do without"


@pytest.mark.parametrize(
    ("lacks", "name"),
    [
        ((), ""),
        (("max_tokens",), "max_completion_tokens"),
        (("max_completion_tokens",), "max_tokens"),
        (("max_completion_tokens", "max_tokens"), "none"),
    ],
)
def test_the_output_limit_goes_by_the_name_that_was_not_refused(
    lacks: tuple[str, ...], name: str
) -> None:
    assert abilities.of(PLAIN, Learnt(lacks=lacks)).dialect == Dialect(name)
    named = replace(PLAIN, limit_name="max_tokens")
    assert abilities.of(named, Learnt(lacks=lacks)).limit_name == "max_tokens"


def test_the_smaller_of_two_sizes_holds() -> None:
    able = abilities.of(replace(PLAIN, window=8192, output=512), Learnt(window=4096, output=1024))
    assert (able.window, able.output) == (4096, 512)
