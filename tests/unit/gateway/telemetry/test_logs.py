"""A log line says what happened, in one line, and nothing that could act on who reads it."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gateway.telemetry import logs
from tests.support.standins import Terminal

CANARY = "canary-4711-secret"
NASTY = "\x1b[31mred\x1b]0;title\x07\x9b2J\r\n12:00:00 info forged\u2028x\u202ey\x00\ud800"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is the process's: leave it as it was."""
    root = logging.getLogger()
    handlers, level, show = root.handlers[:], root.level, warnings.showwarning
    yield
    logging.captureWarnings(capture=False)
    warnings.showwarning = show
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configured(out: io.StringIO, *, level: str = "info") -> structlog.typing.FilteringBoundLogger:
    logs.configure(level=level, secrets=[CANARY], stream=out)
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger("test")
    return logger


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


BOTH = pytest.mark.parametrize("stream", [io.StringIO, Terminal])


def test_a_line_for_machines_is_one_json_object() -> None:
    """With time, level, event and fields."""
    out = io.StringIO()
    configured(out).info("run.lost", run_id="r1", count=2, ok=True, said="grüß dich")
    (line,) = lines(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "run.lost",
        "level": "info",
        "run_id": "r1",
        "count": 2,
        "ok": True,
        "said": "grüß dich",
    }
    assert "grüß" in out.getvalue()


def test_a_line_for_people_is_short() -> None:
    """Values that could be taken for something else are in quotes."""
    out = Terminal()
    configured(out).warning(
        "run.lost", run_id="r1", reason='a "b" level=info', empty="", items=["x", 1]
    )
    time, line = out.getvalue().split(" ", 1)
    assert time.count(":") == 2
    assert line == (
        'warning run.lost run_id=r1 reason="a \\"b\\" level=info" empty="" items=["x", 1]\n'
    )


def test_context_is_bound_once_for_all_lines_of_a_task() -> None:
    """And redacted like every field."""
    out = io.StringIO()
    logger = configured(out)
    with structlog.contextvars.bound_contextvars(turn_id="t1", key=CANARY):
        logger.info("one")
    logger.info("two")
    one, two = lines(out)
    assert (one["turn_id"], one["key"]) == ("t1", "[redacted]")
    assert "turn_id" not in two


@BOTH
def test_no_secret_is_rendered(stream: type[io.StringIO]) -> None:
    """Wherever it hides: event, field, key, nesting, traceback, library."""
    out = stream()
    logger = configured(out)
    logger.info(f"said {CANARY}", field=CANARY, nested=[{"a": {CANARY: (CANARY,)}}])
    logger.info("url", url=f"https://user:{CANARY}@host/?token={CANARY}", **{CANARY: 1})
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ValueError(f"with {CANARY}") from error
    except ValueError:
        logger.exception("failed")
        logging.getLogger("library").exception("failed with %s", CANARY)
    logging.getLogger("library").warning("said %r", {"x": CANARY}, stack_info=True)
    logging.getLogger("library").warning(CANARY)
    shown = out.getvalue()
    assert CANARY not in shown
    assert shown.count("[redacted]") > 10
    assert shown.count("ValueError: with [redacted]") == 2


@BOTH
def test_nothing_from_outside_can_forge_a_line_or_act_on_a_terminal(
    stream: type[io.StringIO],
) -> None:
    """In event, key, value, nesting, traceback and in what libraries say."""
    out = stream()
    logger = configured(out)
    logger.info(NASTY, field=NASTY, nested={"a": [NASTY]}, **{NASTY: NASTY})
    try:
        raise ValueError(NASTY)
    except ValueError:
        logger.exception("failed")
        logging.getLogger("library").exception("failed")
    logging.getLogger("library").warning("said %s", NASTY)
    text = out.getvalue()
    unsafe = {c for c in text if not c.isprintable() and c not in "\n"}
    assert not unsafe
    beginnings = [line for line in text.split("\n")[:-1] if not line.startswith("    ")]
    assert len(beginnings) == 4
    assert not any(line.startswith("12:00:00 info forged") for line in beginnings)
    if stream is io.StringIO:
        assert lines(out)[0]["field"] == NASTY


@BOTH
def test_long_values_are_cut(stream: type[io.StringIO]) -> None:
    """A line stays one that can be read."""
    out = stream()
    configured(out).info("big", value="x" * 100_000, items=["y" * 10_000] * 1000)
    assert len(out.getvalue()) < 150_000
    assert "(100000 characters)" in out.getvalue()
    assert "(1000 items)" in out.getvalue()


def test_a_traceback_is_below_its_line_for_people() -> None:
    """Indented, so that no line of it can be taken for one of the log."""
    out = Terminal()
    logger = configured(out)
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        logger.exception("failed", run_id="r1")
    first, *rest = out.getvalue().rstrip("\n").split("\n")
    assert first.endswith("failed run_id=r1")
    assert rest[0] == "    Traceback (most recent call last):"
    assert rest[-2:] == ["    ValueError: one", "    two"]
    assert all(line.startswith("    ") for line in rest)


def test_libraries_are_heard_when_something_is_wrong() -> None:
    """In the same form, with their name; their chatter is not shown."""
    out = io.StringIO()
    configured(out, level="debug")
    library = logging.getLogger("library.part")
    library.info("chatter")
    library.warning("pool %s is %d%% full", "a", 90)
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"]) == (
        "pool a is 90% full",
        "warning",
        "library.part",
    )
    assert not {"_record", "_from_structlog"} & set(line)


def test_a_level_holds_for_ours_and_theirs() -> None:
    """Ours below it are not shown; those of libraries never below a warning."""
    out = io.StringIO()
    logger = configured(out, level="error")
    logger.warning("ours")
    logging.getLogger("library").warning("theirs")
    assert out.getvalue() == ""
    logger.error("ours")
    logging.getLogger("library").error("theirs")
    assert [line["event"] for line in lines(out)] == ["ours", "theirs"]


def test_a_warning_of_python_is_a_line_too() -> None:
    """It would go to stderr past everything above."""
    out = io.StringIO()
    configured(out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(f"old {CANARY}", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    (line,) = lines(out)
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: old [redacted]" in line["event"]


def test_a_line_that_cannot_be_made_says_so_and_no_more() -> None:
    """The standard handler would print the arguments as they are."""
    out = io.StringIO()
    configured(out)
    logging.getLogger("library").warning("%d", CANARY)
    (line,) = lines(out)
    assert (line["event"], line["logger"]) == ("log.unwritable", "library")
    assert CANARY not in out.getvalue()


def test_configuring_again_replaces_what_was() -> None:
    """Nothing is written twice."""
    first, second = io.StringIO(), io.StringIO()
    configured(first)
    logger = configured(second)
    logger.info("ours")
    logging.getLogger("library").warning("theirs")
    assert first.getvalue() == ""
    assert [line["event"] for line in lines(second)] == ["ours", "theirs"]
