"""Bounds on spending, by hand and around a model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelReply, ModelRequest, Usage
from agents.base.spending import Spent
from agents.models.scripted import Rule, ScriptedModel
from agents.resilience.budgets import DAY_MS, NOT_READ, Budget, Budgeted, Caller, Ledger
from gateway.core.clock import ManualClock
from gateway.core.errors import BudgetSpent, ModelFailed, StoreUnavailable
from gateway.core.parts import Text

NOON = 20_000 * DAY_MS + DAY_MS // 2
ANN = Caller("t1", "s1", "main")
BOB = Caller("t2", "s2", "main")


def reserve(ledger: Ledger, caller: Caller, tokens: int, *, now_ms: int = NOON) -> str:
    """The refusal; empty when it was set aside."""
    try:
        ledger.reserve(caller, tokens, now_ms=now_ms)
    except BudgetSpent as error:
        return str(error)
    return ""


def test_without_bounds_nothing_is_refused() -> None:
    ledger = Ledger(Budget())
    assert not any(reserve(ledger, ANN, 10**9) for _ in range(100))


def test_calls_side_by_side_do_not_pass_a_bound_together() -> None:
    """Each alone would fit."""
    ledger = Ledger(Budget(day_tokens=1000))
    assert reserve(ledger, ANN, 600) == ""
    refused = reserve(ledger, BOB, 600)
    assert "budget of this day is spent: 600 of 1000 tokens" in refused
    ledger.settle(ANN, 600, 100)
    assert reserve(ledger, BOB, 600) == ""


def test_a_refused_call_sets_nothing_aside() -> None:
    ledger = Ledger(Budget(session_day_tokens=500, day_tokens=1000))
    assert "session" in reserve(ledger, ANN, 600)
    assert reserve(ledger, BOB, 500) == ""
    assert reserve(ledger, ANN, 500) == ""


@pytest.mark.parametrize(
    ("budget", "other", "word"),
    [
        (Budget(session_day_tokens=100), BOB, "session"),
        (Budget(agent_day_tokens=100), Caller("t3", "s3", "luna"), "agent"),
        (Budget(root_tokens=100), Caller("t9", "s1", "main"), "task"),
    ],
)
def test_each_bound_counts_its_own(budget: Budget, other: Caller, word: str) -> None:
    ledger = Ledger(budget)
    assert reserve(ledger, ANN, 100) == ""
    assert f"budget of this {word} is spent" in reserve(ledger, ANN, 1)
    assert reserve(ledger, other, 100) == ""


def test_what_one_message_set_off_counts_together() -> None:
    """P15: two agents that set each other off stop at the bound of the first."""
    ledger = Ledger(Budget(root_tokens=100))
    assert reserve(ledger, Caller("t1", "s1", "main"), 60) == ""
    assert reserve(ledger, Caller("t1", "s2", "luna"), 60) != ""


def test_what_is_on_record_under_a_root_counts_once() -> None:
    """Whoever used it; what was used here may be on record already, or not yet."""
    ledger = Ledger(Budget(root_tokens=100))
    ledger.know("t1", 60)
    assert reserve(ledger, ANN, 30) == ""
    ledger.settle(ANN, 30, 30)
    for on_record in (60, 90):
        ledger.know("t1", on_record)
        assert "90 of 100 tokens are used" in reserve(ledger, ANN, 11)
    assert reserve(ledger, ANN, 10) == ""


def test_a_turn_makes_so_many_calls_of_so_many_tokens() -> None:
    """What it has used so far comes with it, so a restart gives nothing back."""
    ledger = Ledger(Budget(turn_calls=2, turn_tokens=100))
    assert reserve(ledger, replace(ANN, calls=1, tokens=90), 10) == ""
    assert "2 model calls were made" in reserve(ledger, replace(ANN, calls=2), 1)
    assert "turn is spent: 90 of 100" in reserve(ledger, replace(ANN, tokens=90), 11)


def test_bounds_of_a_day_end_at_midnight_and_say_when() -> None:
    ledger = Ledger(Budget(day_tokens=100))
    ledger.reserve(ANN, 100, now_ms=NOON)
    with pytest.raises(BudgetSpent) as raised:
        ledger.reserve(ANN, 1, now_ms=NOON)
    assert raised.value.retry_after_ms == DAY_MS // 2
    ledger.reserve(BOB, 100, now_ms=NOON + DAY_MS // 2)


def test_a_call_over_midnight_gives_the_new_day_nothing_back() -> None:
    ledger = Ledger(Budget(day_tokens=100))
    ledger.reserve(ANN, 100, now_ms=NOON)
    assert reserve(ledger, BOB, 50, now_ms=NOON + DAY_MS) == ""
    ledger.settle(ANN, 100, 10)
    assert reserve(ledger, BOB, 101, now_ms=NOON + DAY_MS) != ""


def test_what_the_day_has_cost_before_a_restart_counts() -> None:
    ledger = Ledger(Budget(session_day_tokens=100, day_tokens=150))
    ledger.seed([Spent("s1", "main", 90), Spent("s2", "main", 10)], now_ms=NOON)
    assert "session" in reserve(ledger, ANN, 20)
    assert reserve(ledger, BOB, 50) == ""
    assert "day" in reserve(ledger, BOB, 20)


class Today:
    """What the store knows."""

    def __init__(self, *spent: Spent) -> None:
        self.spent = list(spent)
        self.asked: list[int] = []
        self.broken = False

    async def since(self, at_ms: int) -> list[Spent]:
        self.asked.append(at_ms)
        return self.spent

    async def under(self, root: str) -> int:
        if self.broken:
            raise StoreUnavailable("the disk does not answer")
        return 0


class Counting(ScriptedModel):
    """Says how many tokens each answer cost."""

    async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
        reply = await super().complete(request, context)
        return ModelReply(reply.text, usage=Usage(30, 10))


async def ask(model: Budgeted, text: str = "hi", *, at_ms: int = NOON) -> ModelReply:
    request = ModelRequest("m", "", (UserMessage((Text(text),)),), max_tokens=50)
    context = ModelContext(ManualClock(now_ms=at_ms), lambda _: None, root="t1", session="s1")
    return await model.complete(request, context)


async def test_a_call_costs_what_its_provider_counted() -> None:
    inner, today = Counting(), Today(Spent("s9", "main", 20))
    model = Budgeted(inner, Budget(day_tokens=190), today, NOON)
    await model.open()
    assert today.asked == [NOON - DAY_MS // 2]
    for _ in range(3):
        await ask(model)
    with pytest.raises(BudgetSpent):
        await ask(model)
    assert inner.calls == 3, "20 + 3 x 40 are used, and a fourth may need 55 and more"


async def test_what_other_processes_have_used_meanwhile_counts() -> None:
    """One database, two gateways, one bound."""
    today = Today()
    one, other = (Budgeted(Counting(), Budget(day_tokens=150), today, NOON) for _ in range(2))
    await one.open()
    await ask(one)
    today.spent = [Spent("s1", "main", 120)]
    await other.open()
    await one.refresh(NOON + 2000)
    for model in (one, other):
        with pytest.raises(BudgetSpent):
            await ask(model)


async def test_a_clock_that_jumps_to_another_day_and_back_gives_nothing_back() -> None:
    """What a day has cost is read whenever another one begins."""
    today = Today(Spent("s1", "main", 120))
    model = Budgeted(Counting(), Budget(day_tokens=150), today, NOON)
    await model.open()
    with pytest.raises(BudgetSpent):
        await ask(model)
    today.spent = []
    await ask(model, at_ms=NOON - DAY_MS)
    today.spent = [Spent("s1", "main", 120)]
    with pytest.raises(BudgetSpent):
        await ask(model)
    assert today.asked == [at - DAY_MS // 2 for at in (NOON, NOON - DAY_MS, NOON)]


def test_what_is_set_aside_stays_so_when_the_day_is_read_again() -> None:
    ledger = Ledger(Budget(day_tokens=100))
    assert reserve(ledger, ANN, 60) == ""
    ledger.seed([Spent("s2", "main", 30)], now_ms=NOON)
    assert reserve(ledger, BOB, 20) != ""
    ledger.settle(ANN, 60, 5)
    assert reserve(ledger, BOB, 65) == ""


async def test_a_call_that_failed_gives_back_what_it_reserved() -> None:
    model = Budgeted(
        ScriptedModel([Rule("no", fail="rate")]), Budget(day_tokens=100), Today(), NOON
    )
    await model.open()
    for _ in range(10):
        with pytest.raises(ModelFailed):
            await ask(model, "no")
    await ask(model)


async def test_without_bounds_by_day_nothing_is_read() -> None:
    today = Today()
    model = Budgeted(Counting(), Budget(turn_calls=1), today, NOON)
    await model.open()
    assert today.asked == []
    await ask(model)
    await model.close()


async def test_what_nobody_counted_is_charged_as_we_guess_it() -> None:
    """It is what is written down, so it holds after a restart too."""

    class Silent(Counting):
        async def complete(self, request: ModelRequest, context: ModelContext) -> ModelReply:
            return replace(await super().complete(request, context), usage=Usage())

    guessed = (await ask(Budgeted(Silent(), Budget(turn_tokens=500), Today(), NOON))).usage
    assert guessed.input_tokens == 5
    assert guessed.output_tokens > 1
    assert (await ask(Budgeted(Silent(), Budget(), Today(), NOON))).usage == Usage()


async def test_a_task_whose_costs_cannot_be_read_is_not_gone_on_with() -> None:
    today = Today()
    today.broken = True
    model = Budgeted(Counting(), Budget(root_tokens=500), today, NOON)
    with pytest.raises(ModelFailed) as raised:
        await ask(model)
    assert raised.value.told == NOT_READ
