"""Learning how a model counts from those who count."""

from __future__ import annotations

from agents.resilience.scale import MOST, Scale


def test_a_model_that_counts_more_is_learnt_from() -> None:
    scale = Scale()
    assert scale.learn(1000, 1500)
    assert scale.ratio == 1.5
    assert scale.learn(1000, 1000)
    assert 1 < scale.ratio < 1.5


def test_a_count_far_from_the_guess_is_not_believed() -> None:
    scale = Scale()
    scale.learn(10, 100_000)
    assert scale.ratio == MOST


def test_a_provider_that_does_not_count_changes_nothing() -> None:
    scale = Scale()
    assert scale.learn(1000, 0)
    assert scale == Scale()


def test_a_prompt_that_was_cut_in_silence_is_noticed_by_counts_that_stop_growing() -> None:
    scale = Scale()
    assert [scale.learn(n * 500, min(n * 500, 1500)) for n in range(1, 7)] == [True] * 5 + [False]
    assert scale.ratio > 0.9


def test_text_with_few_tokens_is_not_taken_for_a_prompt_that_was_cut() -> None:
    """Blanks and repetitions count little, wherever they stand."""
    scale = Scale()
    for guessed in (1000, 2000):
        assert scale.learn(guessed, guessed)
    assert scale.learn(10_000, 4000), "more than it ever counted"
    assert scale.learn(5000, 1500), "not much larger than what it counted in full"
    assert Scale().learn(10_000, 4000), "the first counts only tell how the model counts"


def test_a_count_below_any_window_is_another_way_to_count() -> None:
    scale = Scale()
    for guess in (600, 600, 3000):
        assert scale.learn(guess, 400)


def test_a_server_that_does_not_count_its_prompts_switches_nothing_off() -> None:
    """It said 10 whatever was sent; 165 KB went into a window of 16 000 tokens."""
    scale = Scale()
    for words in (8, 500, 5000, 30_000):
        assert scale.learn(round(1.4 * words), 10, lambda words=words: words)  # type: ignore[misc]  # bound here
    assert scale.ratio >= 1.0
