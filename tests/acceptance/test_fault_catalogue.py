"""Every fault of the simulator: who is asked, how often, after how long, what is shown and logged.

Each is met twice over real HTTP: by the first of two keys, where the other one answers, and by a
single key, where nobody else can. Time is by hand, and no text is shown twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from agents.base.effects import CallModel, ModelFailure
from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelRequest
from agents.failures import EMPTY, SENTENCES, TOO_LONG, sentence
from agents.models.openai import OpenAIModel
from agents.models.profile import Timeouts
from agents.resilience.policy import Endpoint, Resilient
from agents.resilience.search import HOPELESS
from gateway.core.errors import ModelAttempt
from gateway.core.ids import SequentialIds
from gateway.core.parts import Text
from gateway.events.previews import Previews
from gateway.simulate.catalog import GROUPS
from gateway.simulate.fault import Fault
from gateway.simulate.server import simulating
from gateway.simulate.simulator import Simulator
from gateway.turns.world import World
from tests.support.failover import NO_EVENT, PatientClock, Shown, profile_for

ENDLESS = {"keep-alive-only": "ends at the bound of the whole call, which stands still here"}
HELLO = UserMessage((Text("hello"),))

WAITS: dict[tuple[str, int | None], Sequence[float]] = {
    # A single limited key: 2 s doubling, or the provider's wish, within a person's 15 s.
    ("rate", None): (0, 2, 4, 8),
    ("rate", 0): (0, 0, 2, 4, 8),
    ("rate", 1_500): (0, 1.5, 2, 4),
    ("rate", 7_000): (0, 7, 7),
    # 5 s doubling.
    ("overloaded", None): (0, 5, 10),
    ("overloaded", 3_000): (0, 3, 5),
    ("server", None): (0, 5, 10),
    # Says nothing about the key: once more, at once.
    ("truncated", None): (0, 0),
    ("bad_response", None): (0, 0),
}
"""Seconds before each request to a single key, by category and hint; what is not here is asked
for once, because nobody would wait as long as its pause."""


@dataclass(frozen=True, slots=True)
class Met:
    """What came of one fault: who was asked for which model by which request, in the words of the
    client and of the servers, and what a person saw, in the end and on the way."""

    said: str
    shown: str
    attempts: tuple[ModelAttempt, ...]
    asked: tuple[tuple[str, str], ...]
    passed_s: float
    logs: tuple[EventDict, ...]


class Stage:
    """A policy whose first key leads to the faults."""

    def __init__(self, policy: Resilient, clock: PatientClock, *servers: Simulator) -> None:
        self._policy = policy
        self._clock = clock
        self._servers = servers
        self._world = World(clock, SequentialIds(), policy, {}, Previews())

    async def meet(self, fault: Fault) -> Met:
        """Ask while the first server fails like this."""
        clock, (bad, *_) = self._clock, self._servers
        bad.clear()
        bad.set(fault.name)
        for server in self._servers:
            server.asked.clear()
        self._policy.clear()
        self._policy.keys.scale("big").counts = 0
        shown, began = Shown(), clock.monotonic()
        context = ModelContext(
            clock, shown.emit, restarted=shown.restarted, session=f"{fault.name} {began}"
        )
        with capture_logs() as logs:
            asking = self._world.call_model(
                CallModel(ModelRequest("big", "", (HELLO,), max_tokens=64), 0), context
            )
            outcome = await clock.drive(asking)
        said = sentence(outcome) if isinstance(outcome, ModelFailure) else outcome.text
        asked = [one for server in self._servers for one in server.asked]
        return Met(
            said,
            shown.text,
            outcome.attempts,
            tuple((one.key, one.model) for one in asked),
            round(clock.monotonic() - began, 1),
            tuple(logs),
        )


@asynccontextmanager
async def staged(fault: Fault, *, keys: int) -> AsyncIterator[Stage]:
    """One server a key; `fault` says under which name the first is asked."""
    clock = PatientClock()
    timeouts = Timeouts(idle_s=0.3)  # silence is real here, and short
    async with simulating(clock=clock) as bad, simulating(clock=clock) as good:
        servers = (bad, good)[:keys]
        profiles = [profile_for(fault, bad, "bad", name="bad")]
        profiles += [profile_for(PLAIN, good, "good", name="good")] if keys == 2 else []
        endpoints = [Endpoint(p, OpenAIModel(p, timeouts=timeouts)) for p in profiles]
        policy = Resilient(endpoints, clock=clock)
        try:
            yield Stage(policy, clock, *servers)
        finally:
            await policy.close()


PLAIN = GROUPS["status"][0]
SHARED = {
    f"{group}{' by ' + host if host else ''}": tuple(
        fault for fault in faults if fault.host == host and fault.name not in ENDLESS
    )
    for group, faults in GROUPS.items()
    for host in sorted({fault.host for fault in faults})
}
"""Faults that can be met by one client, one after another."""


@pytest.mark.timeout(60)
@pytest.mark.parametrize("group", SHARED)
async def test_whatever_the_first_key_does_there_is_one_answer_or_one_sentence(group: str) -> None:
    """A refusal without a known reason (`bad_request`) may be one server's: another is asked."""
    wrong: list[str] = []
    async with staged(SHARED[group][0], keys=2) as stage:
        for fault in SHARED[group]:
            met, category = await stage.meet(fault), fault.leads_to
            bad, good = ("bad", "big"), ("good", "big")
            if category == "answer":
                found = _differences(fault, met, [bad], [""], [])
            elif category in HOPELESS - {"bad_request"}:
                found = _differences(fault, met, [bad], [category], [("model.failed", category)])
            else:
                # An empty answer is asked for once more before another key is.
                times = 2 if fault.name == "no-text" else 1
                lines = [("model.failed_over", category)] * times
                ends = [*[category] * times, ""]
                found = _differences(fault, met, [*[bad] * times, good], ends, lines)
                found += [] if met.said == "You said: hello" else [f"answered {met.said!r}"]
            found += [] if not any(one.waited_ms for one in met.attempts) else ["waited"]
            wrong += [f"{fault.name}: {what}" for what in found]
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("group", SHARED)
async def test_a_fault_that_lasts_costs_a_single_key_so_many_requests_and_seconds(
    group: str,
) -> None:
    wrong: list[str] = []
    async with staged(SHARED[group][0], keys=1) as stage:
        for fault in SHARED[group]:
            if fault.leads_to == "answer":
                continue
            category = fault.leads_to
            met = await stage.meet(fault)
            waits = WAITS.get((category, fault.retry_after_ms), (0,))
            count = len(waits)
            lines = [("model.failed_over", category)] * (count - 1) + [("model.failed", category)]
            found = _differences(fault, met, [("bad", "big")] * count, [category] * count, lines)
            waited = [round(one.waited_ms / 1000, 1) for one in met.attempts]
            found += [] if waited == list(waits) else [f"waited {waited}, expected {waits}"]
            if met.passed_s != sum(waits):
                found.append(f"{met.passed_s} s passed, expected {sum(waits)}")
            wrong += [f"{fault.name}: {what}" for what in found]
    assert not wrong, "\n".join(wrong)


def _differences(
    fault: Fault,
    met: Met,
    asked: list[tuple[str, str]],
    ended: Sequence[str],
    lines: Sequence[tuple[str, str]],
) -> list[str]:
    """What differs from these requests with these ends and these lines of the log."""
    tried = [(one.profile, one.model, one.category) for one in met.attempts]
    logged = [(line["event"], line["category"]) for line in met.logs if "category" in line]
    # What an answer that failed had shown gives way to the sentence; it is there once at most.
    half = met.shown[: len(met.shown) // 2]
    once = met.shown in (met.said, "") if ended[-1] == "" else not half or met.shown != half * 2
    checks = {
        "requests": (list(met.asked), [one for one in asked for _ in range(_requests(fault, one))]),
        "logged": (logged, list(lines)),
        "shown once": (once, True),
        "said": (bool(ended[-1]) and met.said != _sentence(fault, met), False),
    }
    if met.attempts or lines:
        expected = [(*one, end) for one, end in zip(asked, ended, strict=True)]
        checks["attempts"] = (tried, expected)
    return [
        f"{what}: {found}, expected {wanted}"
        for what, (found, wanted) in checks.items()
        if found != wanted
    ]


def _requests(fault: Fault, asked: tuple[str, str]) -> int:
    """How many requests are one attempt: a stream without an event is asked for in one piece."""
    return 2 if fault.name in NO_EVENT and asked[0] == "bad" else 1


def _sentence(fault: Fault, met: Met) -> str:
    """What people are told of it, with the time of this case put in."""
    if fault.name == "no-text":
        return EMPTY
    if fault.name == "overflow-llamacpp":  # it counts the prompt, so its size is told
        return TOO_LONG.format(tokens=5000, window=4096)
    before, when, after = SENTENCES[fault.leads_to].partition("{when}")  # type: ignore[index]  # no answer here
    if not when:
        return before
    return met.said if met.said.startswith(before) and met.said.endswith(after) else before
