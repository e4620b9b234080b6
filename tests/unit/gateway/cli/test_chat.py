"""`turngate chat`: with a gateway on its home it attaches, without one it runs its own."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from gateway.cli.chat import HINTS
from gateway.composition.answering import who_answers
from gateway.settings.settings import load_settings
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]


@pytest.mark.parametrize("model", ["local", "scripted"])
def test_its_greeting_fits_a_terminal(model: str) -> None:
    lines = (*who_answers(load_settings(turngate_model=model)), HINTS)
    assert max(map(len, lines)) <= 80


def test_alone_it_answers_by_itself(shell: Shell) -> None:
    done = shell.run("chat", stdin="one\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: one\n", "")


def test_beside_one_of_another_home_it_says_that_it_starts_its_own(shell: Shell) -> None:
    """Piped too: the answer would come from another agent and model, without a word."""
    with shell.up("--home", str(shell.folder / "other")) as (_, url):
        done = shell.run("chat", stdin="one\n")
        lost = shell.run("status")
    assert (done.returncode, done.stdout) == (0, "You said: one\n")
    for said in (str(shell.home), "so this terminal starts one", f"at {url} for", "--home"):
        assert said in done.stderr
    assert (
        " ".join(who_answers(load_settings(turngate_model="scripted"))[0].split()[:3])
        in done.stderr
    )
    assert lost.returncode == 69
    assert f"one runs at {url} for {shell.folder / 'other'}" in lost.stderr


def test_a_slip_in_the_name_of_a_setting_is_told(shell: Shell) -> None:
    done = shell.run("chat", stdin="one\n", LLM_MODLE="m")
    assert done.stdout == "You said: one\n"
    assert "LLM_MODLE (environment) is no setting of turngate; did you mean" in done.stderr


def test_beside_a_gateway_it_attaches(served: Shell) -> None:
    """Lines in, replies out, in order; the end of input waits for the answers."""
    done = served.run("chat", stdin="one\n//help\n/help\n")
    assert done.returncode == 0
    assert "You said: " in done.stdout
    assert "/help" in done.stdout
    assert "/stop" in done.stdout


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


def test_a_script_learns_that_a_turn_failed(shell: Shell, served: Shell) -> None:
    """With a gateway in the process and with one elsewhere; by the exit code, and by line."""
    for place in (shell, served):
        assert place.run("chat", stdin="fine\n").returncode == 0
        failed = place.run("chat", stdin="fail quota\n")
        assert (failed.returncode, "credit" in failed.stdout) == (1, True)
        assert "Traceback" not in failed.stderr
        told = place.run("chat", "--json", stdin='{"text": "fail quota", "peer": "f"}\n')
        lines = [json.loads(line) for line in told.stdout.splitlines()]
        (end,) = [line for line in lines if line["type"] == "ended"]
        assert (told.returncode, end["state"], end["kind"]) == (1, "failed", "quota")
        assert end["answered_by"] == end["turn_id"]


def test_a_program_learns_into_which_turn_its_message_went(shell: Shell, served: Shell) -> None:
    """Several lines at once are answered together; each of them has an end."""
    for place in (shell, served):
        lines = "".join(f'{{"text": "line {number}", "peer": "m"}}\n' for number in range(6))
        done = place.run("chat", "--json", stdin=lines)
        out = [json.loads(line) for line in done.stdout.splitlines()]
        said = [line["turn_id"] for line in out if line["type"] == "accepted"]
        answered = {line["turn_id"] for line in out if line["type"] == "message"}
        merged = {line["turn_id"]: line for line in out if line["type"] == "ended"}
        assert done.returncode == 0
        assert set(said) == answered | merged.keys()
        for line in merged.values():
            assert line["answered_by"] in answered
            assert (line["state"], line["kind"]) == ("answered", None)


def test_the_next_terminal_goes_on_when_the_first_leaves(shell: Shell) -> None:
    """It attached to the first one's gateway; then it runs one itself, in the same conversation,
    at the same address, and a third can attach to that."""

    def say(process: subprocess.Popen[str], text: str) -> dict[str, str]:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"text": text}) + "\n")
        process.stdin.flush()
        answer: dict[str, str] = {}
        while answer.get("type") != "message":
            answer = json.loads(process.stdout.readline())
        return answer

    def served_by() -> dict[str, object]:
        found: dict[str, object] = json.loads((shell.home / "gateway.json").read_text("utf-8"))
        return found

    with shell.started("chat", "--json") as first:
        assert say(first, "one")["text"] == "You said: one"
        before = served_by()
        assert (before["pid"], before["command"]) == (first.pid, "chat")
        with shell.started("chat", "--json") as second:
            assert say(second, "two")["text"] == "You said: two"
            first.send_signal(signal.SIGTERM)
            assert first.wait(timeout=PATIENCE_S) == 0
            assert say(second, "three")["text"] == "You said: three"
            after = served_by()
            assert (after["pid"], after["url"]) == (second.pid, before["url"])
            listed = shell.run("turns", "list", "--json")
            sessions = [turn["session_key"] for turn in json.loads(listed.stdout)["turns"]]
            assert sessions[0] == sessions[1]  # newest first: three, two
            assert shell.run("chat", stdin="four\n").stdout == "You said: four\n"
            second.kill()
    assert shell.run("chat", stdin="five\n").stdout == "You said: five\n"


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
