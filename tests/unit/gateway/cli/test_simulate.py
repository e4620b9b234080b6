"""`turngate simulate`: what it says, and how it ends."""

from __future__ import annotations

import json
import signal

import httpx
import pytest

from gateway.simulate.catalog import FAULTS
from tests.unit.gateway.cli.shell import PATIENCE_S, Shell

pytestmark = pytest.mark.timeout(60)

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
        control = json.loads(process.stdout.readline())["control"].replace("0.0.0.0", "127.0.0.1")
        message = {"jsonrpc": "2.0", "id": 1, "method": "counters"}
        assert httpx.post(control, json=message).status_code == 403
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE_S)
    assert "its token is " in err


def test_every_fault_is_listed(shell: Shell) -> None:
    listed = json.loads(shell.run("simulate", "--list", "--json").stdout)
    assert [row["fault"] for row in listed] == list(FAULTS)


@pytest.mark.parametrize("words", [("--fault", "sever"), ("--rules", "nowhere.toml")])
def test_what_does_not_fit_is_a_sentence_and_exit_code_78(
    shell: Shell, words: tuple[str, str]
) -> None:
    refused = shell.run("simulate", *words)
    assert refused.returncode == 78
    assert words[1] in refused.stderr
    assert "Traceback" not in refused.stderr
