"""Fitting a call into a window, driven by hand: what is asked, how often, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace

import pytest

from agents.base.effects import (
    CallModel,
    Compact,
    Effects,
    ModelFailure,
    Outcome,
    Snapshot,
    TurnResult,
)
from agents.base.messages import (
    AssistantMessage,
    Messages,
    SummaryMessage,
    ToolMessage,
    UserMessage,
)
from agents.base.models import ModelReply
from agents.base.summaries import SUMMARY, WANTED, view
from agents.resilience.ladder import LEFT_OUT_NOTICE, MAX_RUNGS
from agents.resilience.plain import holds_images
from agents.turn import NOT_SUMMARISED, SUMMARISED, ToolLoop
from gateway.core.ids import AgentId
from gateway.core.parts import Image, Text, text_of
from tests.unit.agents.resilience.test_shrinking import exchange, talk, user

SNAPSHOT = Snapshot(AgentId("main"), "You are a test.", (), ("big",), 100, None, 3, 0, 1)
FULL = ModelFailure("overflow", "too long")
Answer = Callable[[Effects], ModelReply | ModelFailure]


def run(
    history: Messages,
    answer: Answer,
    *,
    window: int = 0,
    ratio: float = 1.0,
    snapshot: Snapshot | None = None,
) -> tuple[TurnResult, list[Effects]]:
    """A whole turn on these answers; the effects it asked for."""
    snapshot = snapshot or replace(SNAPSHOT, window=window, ratio=ratio)
    turn = ToolLoop((), models=()).run(snapshot, history)
    effects: list[Effects] = []

    def whole() -> Generator[Effects | TurnResult, Outcome, None]:
        result: TurnResult = yield from turn
        yield result

    driven = whole()
    told = next(driven)
    while not isinstance(told, TurnResult):
        effects.append(told)
        told = driven.send(answer(told))
    return told, effects


def takes(window: int, *, tells: bool = True) -> Answer:
    """A model with this window, by our own count."""

    def answer(effect: Effects) -> ModelReply | ModelFailure:
        assert isinstance(effect, CallModel | Compact)
        if effect.request.guess + 100 > window:
            return replace(FULL, window=window if tells else 0)
        return ModelReply("in short" if isinstance(effect, Compact) else "fine")

    return answer


def kinds(effects: list[Effects]) -> str:
    return "".join("c" if isinstance(effect, Compact) else "m" for effect in effects)


def long_talk(count: int = 20) -> Messages:
    """Sixty tokens of question each, and one more to be answered."""
    asked = tuple(
        said for n in range(count) for said in (user(f"{n} " + "x" * 240), AssistantMessage("ok"))
    )
    return (*asked, user("and now?"))


def test_a_short_conversation_is_sent_as_it_is() -> None:
    result, effects = run(talk(3), takes(8192), window=8192)
    assert kinds(effects) == "m"
    assert result.messages == (AssistantMessage("fine"),)


def test_the_beginning_is_summarised_before_the_window_is_reached() -> None:
    """No refusal, no lost call; the summary is an entry of the transcript, the originals stay."""
    history = long_talk()
    result, effects = run(history, takes(1600), window=1600)
    assert kinds(effects) == "cm"
    summary, answer = result.messages
    assert isinstance(summary, SummaryMessage)
    assert answer == AssistantMessage("fine")
    sent = view((*history, *result.messages[:1]), 1600)
    assert sent[0] == user(SUMMARY.format(text="in short"))
    assert sent[1:] == history[-summary.keeps :]
    asked = effects[1]
    assert isinstance(asked, CallModel)
    assert asked.request.messages[-1] == user("and now?")


def test_pictures_that_no_model_sees_take_no_room() -> None:
    """Told as lines from the start: counted as pictures they would end every turn behind them."""
    looked = UserMessage((Text("look"), *(Image("https://x/y.png"),) * 4))
    history = (looked, AssistantMessage("nice"), user("hello"))
    blind = replace(SNAPSHOT, window=3000, images=False)
    result, effects = run(history, takes(3000), snapshot=blind)
    assert kinds(effects) == "m"
    [asked] = effects
    assert isinstance(asked, CallModel)
    assert not holds_images(asked.request)
    assert result.text == "fine"


def test_the_next_turn_starts_from_the_summary() -> None:
    history = long_talk()
    first, _ = run(history, takes(1600), window=1600)
    _, effects = run((*history, *first.messages, user("more?")), takes(1600), window=1600)
    assert kinds(effects) == "m"


def test_a_summary_for_a_small_model_is_not_shown_to_a_large_one() -> None:
    """It stood in for a while: the other one comes back to the whole conversation."""
    history = long_talk()
    first, _ = run(history, takes(1600), window=1600)
    after = (*history, *first.messages, user("more?"))
    for window in (100_000, 0):
        _, (effect,) = run(after, takes(100_000), window=window)
        assert isinstance(effect, CallModel)
        assert len(effect.request.messages) == len(after) - 1
    _, effects = run(after, takes(1200), window=0)
    assert kinds(effects) == "mm", "refused, and then the summary is there already"


@pytest.mark.parametrize(("window", "keeps"), [(0, 8), (1600, 20), (100_000, 8)])
def test_a_summary_somebody_asks_for_is_for_every_model(window: int, keeps: int) -> None:
    """As much goes into it as can be told in full; once more there is nothing to do."""
    history = long_talk()[:-1]
    result, (effect,) = run((*history, WANTED), takes(100_000), window=window)
    assert isinstance(effect, Compact)
    assert result == TurnResult("answered", SUMMARISED, (SummaryMessage("in short", keeps),))
    (asked,) = effect.request.messages
    assert isinstance(asked, UserMessage)
    for number in range((40 - keeps) // 2):
        assert f"User: {number} xxx" in text_of(asked.parts)
    after = (*history, *result.messages)
    for other in (0, 1600, 100_000):
        assert len(view(after, other)) == 1 + keeps
    again, effects = run((*after, WANTED), takes(100_000), window=window)
    assert (again.text, again.messages, effects) == (NOT_SUMMARISED, (), [])


def test_a_summary_somebody_asks_for_that_fails_changes_nothing() -> None:
    result, _ = run((*long_talk()[:-1], WANTED), lambda _: ModelFailure("rate", "no"))
    assert (result.state, result.kind, result.messages) == ("failed", "rate", ())


def test_a_summary_that_would_be_left_out_again_is_not_paid_for() -> None:
    """The newest messages alone are too much: the call says what is missing."""
    history = (*long_talk(4)[:-1], user("x" * 3000), AssistantMessage("ok"), user("and now?"))
    result, (effect,) = run(history, takes(1000), window=1000)
    assert isinstance(effect, CallModel)
    assert effect.shortened is not None
    assert effect.shortened.rungs == ("left_out",)
    assert effect.shortened.left == effect.request.guess < effect.shortened.tokens
    assert result.text == f"fine\n\n[{LEFT_OUT_NOTICE}]"


def test_a_summary_of_a_summary_keeps_what_the_first_one_said() -> None:
    history = long_talk()
    first, _ = run(history, takes(1600), window=1600)
    later = (*history, *first.messages, *long_talk(14))
    result, effects = run(later, takes(1600), window=1600)
    compacting = effects[0]
    assert isinstance(compacting, Compact)
    assert compacting.beginning[0] == user(SUMMARY.format(text="in short"))
    assert result.state == "answered"


def test_a_refusal_that_names_the_window_is_answered_by_fitting_into_it() -> None:
    result, effects = run(long_talk(), takes(1000))
    assert kinds(effects) in ("mcm", "mm")
    assert result.state == "answered"


def test_a_refusal_without_a_number_is_answered_by_less() -> None:
    result, effects = run(long_talk(), takes(1000, tells=False))
    assert result.state == "answered"
    assert len(effects) <= 6


def test_free_rungs_come_before_paid_ones() -> None:
    """Old results of tools are what is large, and nobody needs them."""
    history = (*talk(8, "x" * 2000), user("and now?"))
    result, effects = run(history, takes(3000), window=3000)
    assert kinds(effects) == "m"
    assert result.messages == (AssistantMessage("fine"),)


def test_one_huge_result_is_cut() -> None:
    history = (*exchange(0, "x" * 40_000), user("and now?"))
    result, effects = run(history, takes(8000), window=8000)
    assert (kinds(effects), result.state) == ("m", "answered")
    (asked,) = effects
    assert isinstance(asked, CallModel)
    (looked,) = [said for said in asked.request.messages if isinstance(said, ToolMessage)]
    assert len(looked.text) < 10_000


def test_when_the_summary_fails_the_beginning_is_left_out_and_that_is_said() -> None:
    def answer(effect: Effects) -> ModelReply | ModelFailure:
        return ModelFailure("rate", "no") if isinstance(effect, Compact) else ModelReply("fine")

    result, effects = run(long_talk(), answer, window=1000)
    assert kinds(effects) == "cm"
    assert result.text == f"fine\n\n[{LEFT_OUT_NOTICE}]"
    assert result.messages == (AssistantMessage("fine"),)


def test_a_provider_that_always_says_overflow_gets_a_bounded_number_of_calls() -> None:
    """S5, the worst case: each refusal costs one rung."""
    for count in (0, 1, 5, 50):
        result, effects = run(long_talk(count), lambda effect: FULL)
        assert (result.state, result.kind) == ("failed", "overflow")
        assert kinds(effects).count("m") <= MAX_RUNGS + 1
        assert kinds(effects).count("c") <= MAX_RUNGS


def test_a_message_that_cannot_fit_alone_is_refused_with_both_sizes() -> None:
    """Without a call: its answer is known."""
    result, effects = run((user("x" * 40_000),), takes(4000), window=4000)
    assert (effects, result.kind) == ([], "overflow")
    assert "about 10008 tokens, and it takes 4000" in result.text


def test_a_model_that_counts_more_than_we_guess_is_sent_less() -> None:
    _, plain = run(long_talk(), takes(10_000), window=2200)
    _, dense = run(long_talk(), takes(10_000), window=2200, ratio=2.0)
    assert (kinds(plain), kinds(dense)) == ("m", "cm")


def test_a_view_ignores_the_places_of_deleted_messages() -> None:
    """They are there until the session is read anew, and must not shift what is kept."""
    gone = UserMessage(())
    summary = SummaryMessage("s", 2)
    kept = (user("c"), AssistantMessage("d"))
    with_place = view((user("a"), AssistantMessage("b"), *kept[:1], gone, *kept[1:], summary))
    without = view((user("a"), AssistantMessage("b"), *kept, summary))
    assert with_place == without == (UserMessage((Text(SUMMARY.format(text="s")),)), *kept)


def test_a_smaller_model_that_counts_in_its_own_way_is_believed() -> None:
    """The first one counts twice what we guess, the one that takes over just that."""
    asked: list[int] = []

    def answer(effect: Effects) -> ModelReply | ModelFailure:
        assert isinstance(effect, CallModel | Compact)
        asked.append(effect.request.guess)
        if asked[-1] > 750:
            return replace(FULL, window=1000, tokens=asked[-1])
        return ModelReply("in short" if isinstance(effect, Compact) else "fine")

    result, effects = run(long_talk(), answer, window=100_000, ratio=2.0)
    assert (kinds(effects), result.state) == ("mcm", "answered")
    assert 500 < asked[-1] < 750
