"""Background work of a gateway: opening the model, deleting old rows, following other processes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable

import structlog

from agents.base.models import Model
from agents.resilience.policy import Resilient
from gateway.composition.answering import Answering
from gateway.core.clock import Clock
from gateway.core.errors import ConfigError, ModelFailed, StoreUnavailable
from gateway.core.tasks import Ending, TaskOwner
from gateway.events.company import Company
from gateway.retention import DAY_MS, Keep
from gateway.running import Gateway
from gateway.settings.settings import Settings
from gateway.turns.lanes import Lanes

log = structlog.get_logger(__name__)


async def admit(model: Model, lanes: Lanes) -> None:
    """Open the model, then let turns begin: loading takes seconds and messages come meanwhile."""
    try:
        await model.open()
    except ModelFailed as error:
        log.error("model.not_opened", reason=str(error))
    except Exception:  # a boundary: turns that fail with a sentence are better than silence
        log.exception("model.not_opened")
    lanes.admit()


def every(
    upkeep: TaskOwner,
    clock: Clock,
    name: str,
    pause_s: float,
    work: Callable[[], object],
) -> None:
    """Repeat `work` until cancelled; when the store refuses it, the next repetition does it."""

    async def repeated() -> None:
        while True:
            await clock.sleep(pause_s)
            try:
                if isawaitable(working := work()):
                    await working
            except (StoreUnavailable, ConfigError) as error:
                log.warning("upkeep.put_off", work=name, reason=str(error))

    upkeep.start(name, repeated(), ending=Ending.ETERNAL)


def keep_for(settings: Settings) -> Keep:
    """How long ended turns, runs and log entries are kept before they are deleted."""
    ended_ms = settings.turngate_keep_days * DAY_MS
    return Keep(
        events_ms=settings.turngate_keep_event_days * DAY_MS,
        events=settings.turngate_keep_events,
        runs_ms=ended_ms,
        ended_ms=ended_ms,
    )


async def refresh(gateway: Gateway, answers: Answering) -> None:
    """Read what other processes have changed: credentials, routing rules, agents, state of keys."""
    await gateway.credentials.refresh()
    await gateway.added.open()
    await answers.refresh(gateway.clock.now_ms())


def greet(company: Company, policy: Resilient) -> None:
    """Count the processes: they share the limits of a key."""
    policy.keys.processes = company.greet()
