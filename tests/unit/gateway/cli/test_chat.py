"""`turngate chat`: with a gateway on its home it attaches, without one it runs its own."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.unit.gateway.cli.shell import PATIENCE_S, Shell

pytestmark = pytest.mark.timeout(60)


def test_alone_it_answers_by_itself(shell: Shell) -> None:
    done = shell.run("chat", stdin="one\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: one\n", "")


def test_beside_a_gateway_it_attaches(served: Shell) -> None:
    """Lines in, replies out, in order; the end of input waits for the answers."""
    done = served.run("chat", stdin="one\n//help\n/help\n")
    assert done.returncode == 0
    assert "You said: " in done.stdout
    assert "/help" in done.stdout
    assert "/stop" in done.stderr


def test_attached_it_keeps_the_protocol_for_programs(served: Shell) -> None:
    """A line sent again is the same turn, and its answer is shown again under the same key."""
    lines = '{"id": "a", "text": "x", "peer": "pa"}\n{"id": "b", "text": "y", "peer": "pb"}\n'
    first = [
        json.loads(line) for line in served.run("chat", "--json", stdin=lines).stdout.splitlines()
    ]
    told = {line["id"]: line["turn_id"] for line in first if line["type"] == "accepted"}
    shown = {line["delivery_key"]: line["text"] for line in first if line["type"] == "message"}
    assert sorted(told) == ["a", "b"]
    assert len(shown) == 2
    again = [
        json.loads(line) for line in served.run("chat", "--json", stdin=lines).stdout.splitlines()
    ]
    assert {line["id"]: line["turn_id"] for line in again if line["type"] == "accepted"} == told
    assert {
        line["delivery_key"]: line["text"] for line in again if line["type"] == "message"
    } == shown


def test_attached_a_wish_to_cancel_is_refused_as_ever(served: Shell) -> None:
    done = served.run("chat", "--json", stdin='{"cancel": "t_nothing"}\n')
    (line,) = map(json.loads, done.stdout.splitlines())
    assert (line["type"], line["error"]["kind"]) == ("refused", "not_found")


def test_quit_ends_it(served: Shell) -> None:
    done = served.run("chat", stdin="/quit\nnever read\n")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_file_of_a_dead_gateway_is_no_hindrance(shell: Shell) -> None:
    with shell.up():
        pass
    assert (shell.home / "gateway.json").exists()
    assert shell.run("chat", stdin="one\n").stdout == "You said: one\n"


@pytest.mark.parametrize("after_s", [0.15, 0.25, 0.4, 0.6, 0.9])
def test_an_interrupt_at_any_moment_is_130(shell: Shell, after_s: float) -> None:
    """Whatever is being loaded or opened then; before our first line runs, Python itself ends."""
    with shell.started("chat") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=after_s)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode in (130, -signal.SIGINT), err


def test_an_interrupt_beside_a_gateway_is_130(served: Shell) -> None:
    with served.started("chat", "--json") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write('{"text": "hello", "peer": "interrupted"}\n')
        process.stdin.flush()
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert "Traceback" not in err
