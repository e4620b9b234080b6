"""Commands that speak to a running gateway, and what they say when there is none."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]


def test_send_prints_the_reply_and_nothing_else(served: Shell) -> None:
    done = served.run("send", "good", "morning", "--peer", "plain")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: good morning\n", "")


def test_send_as_json_tells_the_turn(served: Shell) -> None:
    done = served.run("send", "hey you", "--peer", "json", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["state"]) == (0, "answered")
    assert answer["delivery_key"].startswith(answer["turn_id"])


def test_send_with_a_key_is_one_turn(served: Shell) -> None:
    words = ("send", "once", "--peer", "key", "--key", "k-1", "--json")
    first, second = (json.loads(served.run(*words).stdout) for _ in range(2))
    assert first == second


def test_send_says_when_the_wait_is_over_before_the_turn(shell: Shell) -> None:
    """The model never answers; the turn goes on, and a stop is told from a wait."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        model = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with shell.up(TURNGATE_MODEL="", LLM_BASE_URL=model, LLM_MODEL="silent"):
            done = shell.run("send", "anybody there?", "--wait", "0.2")
            assert (done.returncode, done.stdout) == (75, "")
            assert "turngate turns wait t_" in done.stderr
            turn_id = done.stderr.split()[-1]
            assert shell.run("turns", "cancel", turn_id).returncode == 0
            waited = json.loads(shell.run("turns", "wait", turn_id, "--json").stdout)
            assert waited["state"] == "cancelled"
            with shell.started("send", "and now?", "--peer", "impatient") as asking:
                while "impatient" not in shell.run("turns", "list").stdout:
                    assert asking.poll() is None
                asking.send_signal(signal.SIGINT)
                _, err = asking.communicate(timeout=PATIENCE_S)
            assert (asking.returncode, "the turn goes on" in err) == (130, True), err


def test_send_fails_with_a_failed_turn(served: Shell) -> None:
    done = served.run("send", "fail server", "--peer", "failing")
    assert done.returncode == 1
    assert "model provider" in done.stdout


def test_status_is_json_for_programs_and_lines_for_people(served: Shell) -> None:
    assert json.loads(served.run("status", "--json").stdout)["running"] is True
    assert "model" in served.run("status").stdout


def test_turns_are_listed_shown_explained_and_not_cancelled_twice(served: Shell) -> None:
    turn = json.loads(served.run("send", "look at me", "--peer", "turns", "--json").stdout)
    listed = served.run("turns", "list", "--limit", "1")
    assert turn["turn_id"] in listed.stdout
    assert json.loads(served.run("turns", "get", turn["turn_id"], "--json").stdout)["reply"]
    assert "model:0" in served.run("turns", "explain", turn["turn_id"]).stdout
    cancelled = served.run("turns", "cancel", turn["turn_id"])
    assert cancelled.returncode == 1
    assert "has ended" in cancelled.stderr


def test_a_page_says_how_to_go_on(served: Shell) -> None:
    for text in ("one", "two"):
        served.run("send", text, "--peer", "pages")
    page = served.run("turns", "list", "--limit", "1")
    assert "more: --cursor " in page.stderr
    cursor = page.stderr.split()[-1]
    assert served.run("turns", "list", "--cursor", cursor).returncode == 0


def test_events_are_listed_and_followed_until_interrupted(served: Shell) -> None:
    served.run("send", "something", "--peer", "events")
    listed = json.loads(served.run("events", "list", "--json").stdout)
    assert listed["events"][0]["seq"] == 1
    with served.started("events", "follow", "--after-seq", "0", "--json") as following:
        assert following.stdout is not None
        first = json.loads(following.stdout.readline())
        assert (first["seq"], first["prev_seq"]) == (1, 0)
        following.send_signal(signal.SIGINT)
        _, err = following.communicate(timeout=PATIENCE_S)
        assert following.returncode == 130
        assert err == ""


@pytest.mark.parametrize(
    ("wrong", "meant"), [("turn", "turn."), ("turn.complete", "turn.completed")]
)
def test_a_kind_that_is_never_told_is_not_waited_for(shell: Shell, wrong: str, meant: str) -> None:
    done = shell.run("events", "follow", "--kind", wrong)
    assert done.returncode == 2
    assert f"did you mean {meant!r}" in done.stderr


def test_a_reader_that_leaves_is_no_news(served: Shell) -> None:
    """As `turngate events follow | head -1` does."""
    with served.started("events", "follow", "--after-seq", "0") as following:
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.close()
        following.wait(timeout=PATIENCE_S)
        assert following.stderr.read() == ""
        following.stdout = None


def test_following_ends_with_its_reader_although_nothing_happens(served: Shell) -> None:
    """Or `turngate events follow | head -1` would stay until the next event."""
    with served.started("events", "follow", "--session", "agent:main:nobody") as following:
        assert following.stdout is not None
        assert following.stderr is not None
        following.stdout.close()
        following.wait(timeout=PATIENCE_S)
        assert following.stderr.read() == ""
        following.stdout = None


def test_without_a_gateway_it_says_how_to_start_one(shell: Shell) -> None:
    for words in (("status",), ("send", "hello"), ("turns", "list"), ("events", "follow")):
        done = shell.run(*words)
        assert done.returncode == 69, words
        assert "turngate up" in done.stderr


def test_a_gateway_that_died_without_a_word_is_not_there(shell: Shell) -> None:
    """Its file is still there, nothing listens any more."""
    with shell.up():
        pass
    assert (shell.home / "gateway.json").exists()
    done = shell.run("status")
    assert done.returncode == 69
    assert "turngate up" in done.stderr


def test_a_wrong_token_is_refused(served: Shell) -> None:
    done = served.run("status", TURNGATE_TOKEN="x" * 40)
    assert done.returncode == 77


def test_a_token_is_not_sent_to_an_address_it_was_not_found_with(served: Shell) -> None:
    done = served.run("status", "--url", "http://127.0.0.1:9")
    assert done.returncode == 78
    assert "TURNGATE_TOKEN" in done.stderr


def test_what_is_no_address_is_said_so(served: Shell) -> None:
    done = served.run("status", "--url", "nonsense", TURNGATE_TOKEN="x" * 40)
    assert done.returncode == 2
    assert "http://host:port" in done.stderr
