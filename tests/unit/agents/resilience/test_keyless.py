"""A model without keys reports its requests as one behind profiles does."""

from __future__ import annotations

import asyncio

import pytest

from agents.base.messages import UserMessage
from agents.base.models import ModelContext, ModelRequest
from agents.models.scripted import ScriptedModel
from agents.resilience.keyless import Keyless
from gateway.core.clock import ManualClock
from gateway.core.errors import ModelAttempt, ModelFailed
from gateway.core.parts import Text
from tests.support.house import PatientModel

CONTEXT = ModelContext(ManualClock(), emit=lambda text: None)


class Heard:
    def __init__(self) -> None:
        self.attempts: list[tuple[ModelAttempt, bool]] = []

    def __call__(self, attempt: ModelAttempt, input_tokens: int, output_tokens: int, /) -> None:
        self.attempts.append((attempt, bool(input_tokens and output_tokens)))


def request(text: str) -> ModelRequest:
    return ModelRequest("m", "", (UserMessage((Text(text),)),))


async def test_an_answer_and_a_failure_are_reported_as_what_they_are() -> None:
    """Tokens are those of the answer."""
    model, heard = Keyless(ScriptedModel(), "scripted"), Heard()
    model.watch(heard)
    await model.complete(request("good morning"), CONTEXT)
    with pytest.raises(ModelFailed):
        await model.complete(request("fail bad_request"), CONTEXT)
    assert heard.attempts == [
        (ModelAttempt("scripted", "m", "first"), True),
        (ModelAttempt("scripted", "m", "first", "bad_request"), False),
    ]


async def test_a_call_that_is_cancelled_is_reported_as_unfinished() -> None:
    patient = PatientModel()
    model, heard = Keyless(patient, "scripted"), Heard()
    model.watch(heard)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(model.complete(request("hold it"), CONTEXT))
        await patient.gates["it"].entered.wait()
        call.cancel()
    assert heard.attempts == [(ModelAttempt("scripted", "m", "first", "unfinished"), False)]


def test_there_is_nothing_to_wait_for_or_to_clear() -> None:
    model = Keyless(ScriptedModel(), "scripted", window=512, tools=False)
    (info,) = model.seen()
    (at,) = info.models
    assert (at.model, at.state, at.window, at.tools) == ("scripted", "ready", 512, False)
    assert (model.lines(), model.clear()) == ([], 0)
