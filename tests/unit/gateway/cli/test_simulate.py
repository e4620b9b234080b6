"""`turngate simulate`: what it says, and how it ends."""

from __future__ import annotations

import json
import re
import signal

import httpx
import pytest

from gateway.simulate.catalog import FAULTS
from gateway.simulate.clouds import CLOUD_MODEL, CLOUDS
from tests.support.canned import canned
from tests.support.patience import PATIENCE_S
from tests.unit.gateway.cli.shell import Shell

pytestmark = [pytest.mark.process, pytest.mark.timeout(60)]

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_it_says_where_it_is_and_how_to_point_a_gateway_to_it(shell: Shell) -> None:
    (shell.folder / "rules.toml").write_text('[[rules]]\ntext = "hi"\nreply = "hello"\n', "utf-8")
    words = ("simulate", "--port", "0", "--rules", "rules.toml", "--fault", "auth@bad")
    with shell.started(*words) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        for key, status in (("bad", 401), ("good", 200)):
            headers = {"Authorization": f"Bearer {key}"}
            answer = httpx.post(f"{url}/chat/completions", json=BODY, headers=headers)
            assert answer.status_code == status
            assert ('"content": "hello"' in answer.text) == (key == "good")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, "")
    assert f"LLM_BASE_URL={url} LLM_API_KEY=sim LLM_MODEL=simulated turngate chat" in err
    assert "Traceback" not in err


def test_where_others_can_connect_a_token_guards_the_controls(shell: Shell) -> None:
    with shell.started("simulate", "--port", "0", "--host", "0.0.0.0", "--json") as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["base_url"].replace("0.0.0.0", "127.0.0.1")
        assert process.stderr is not None
        said = "".join(process.stderr.readline() for _ in range(4))
        (token,) = re.findall(r"its token is (\S+)", said)
        refused = shell.run("simulate", "counters", "--url", url)
        assert "send the token" in refused.stderr
        allowed = shell.run("simulate", "counters", "--url", url, "--token", token)
        assert (refused.returncode, allowed.returncode) == (77, 0)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)


def test_one_that_runs_is_steered_by_commands(shell: Shell) -> None:
    with shell.started("simulate", "--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()

        def steer(*words: str) -> str:
            done = shell.run("simulate", *words, "--url", url)
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert steer("fault", "overloaded", "--model", "m", "--to-call", "1").split() == [
            "id",
            "r1",
        ]
        (rule,) = json.loads(steer("faults", "--json"))["faults"]
        assert (rule["fault"], rule["when"]) == ("overloaded", {"model": "m", "to_call": 1})
        found = [httpx.post(f"{url}/chat/completions", json=BODY).status_code for _ in range(2)]
        assert found == [529, 200]
        log = json.loads(steer("log", "--json"))["requests"]
        assert [(asked["text"], asked["fault"]) for asked in log] == [
            ("hi", "overloaded"),
            ("hi", None),
        ]
        assert "overloaded  1" in steer("counters")
        assert steer("clear", "r1").split() == ["cleared", "1"]
        misspelt = shell.run("simulate", "fault", "sever", "--url", url)
        assert (misspelt.returncode, "did you mean 'server" in misspelt.stderr) == (2, True)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


@pytest.mark.parametrize("status", [200, 404])
def test_steering_something_else_is_a_sentence(shell: Shell, status: int) -> None:
    with canned(b"<html>", status=status) as other:
        refused = shell.run("simulate", "log", "--url", other.base_url)
    assert (refused.returncode, "is no simulator" in refused.stderr) == (69, True)
    refused = shell.run("simulate", "log", "--url", other.base_url)
    assert "start one with: turngate simulate" in refused.stderr


def test_every_fault_and_cloud_is_listed(shell: Shell) -> None:
    listed = json.loads(shell.run("simulate", "--list", "--json").stdout)
    clouds = [f"{CLOUD_MODEL}{name}" for name in CLOUDS]
    assert [row["fault"] for row in listed] == [*FAULTS, *clouds]


@pytest.mark.parametrize("words", [("--fault", "sever"), ("--rules", "nowhere.toml")])
def test_what_does_not_fit_is_a_sentence_and_exit_code_78(
    shell: Shell, words: tuple[str, str]
) -> None:
    refused = shell.run("simulate", *words)
    assert refused.returncode == 78
    assert words[1] in refused.stderr
    assert "Traceback" not in refused.stderr
