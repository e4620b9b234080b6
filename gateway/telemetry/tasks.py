"""Logs the failure of background tasks that have no waiting caller.

One of these is what a `gateway.core.tasks.TaskOwner` calls.
"""

from __future__ import annotations

import structlog

from gateway.core.errors import TurngateError

log = structlog.get_logger(__name__)


def task_failed(name: str, error: BaseException) -> None:
    """Whatever it is, it was not meant to end this task."""
    log.error("task.failed", task=name, exc_info=error)


def task_failed_unasked(name: str, error: BaseException) -> None:
    """The same for work somebody asked for: a refusal is their answer, and needs no line."""
    if not isinstance(error, TurngateError):
        task_failed(name, error)
