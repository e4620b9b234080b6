"""What a model gets to read: an attacker has a `chat` token and a model that does as it is told."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.test_whole_gateway import Caller, gateway
from tests.unit.gateway.cli.shell import Shell

pytestmark = pytest.mark.timeout(60)  # gateways are started

CANARY = "canary-0123456789-of-what-no-model-may-read"
HERE = {"WORKSPACE_DIR": ".", "TURNGATE_HOME": ".turngate"}
"""The workspace is the folder in which turngate is started, and the home lies in it."""

REFUSED = re.compile("There is no file|The path holds|no such tool|is not a folder")
RULE = {"id": CANARY, "agent": "luna"}

SECRETS = (
    ".turngate/token",
    ".turngate/gateway.json",
    ".turngate/turngate.db",
    ".turngate/turngate.db-wal",
    ".env",
    ".env.backup",
    "turngate.toml",
    "routes.json",
    ".agents/luna/AGENT.md",
    ".agents/broken/AGENT.md",
    "secret/key",
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with everything a gateway may have in one place."""
    for name, text in {
        ".env": f"# {CANARY}\nLLM_API_KEY_FILE=secret/key\n",
        ".env.backup": CANARY,
        "turngate.toml": f"# {CANARY}\n",
        "routes.json": json.dumps(
            {"default_agent": "main", "bindings": [{**RULE, "match": {"channel": "discord"}}]}
        ),
        ".agents/luna/AGENT.md": CANARY,
        ".agents/broken/AGENT.md": f"---\nnonsense: 1\n---\n{CANARY}",
        "secret/key": f"{CANARY}\n",
        "docs/note.txt": "a note for everyone",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Shell(tmp_path)


@pytest.fixture
def operator(shell: Shell) -> Iterator[Caller]:
    (shell.folder / "home").symlink_to(".turngate")  # where `gateway` looks for the token
    with gateway(shell, **HERE) as caller:
        yield caller


def attacker(operator: Caller) -> Caller:
    made = operator.call("tokens.create", name="mallory", scopes=["chat"])
    return Caller(operator.url, made["token"])


def reply(caller: Caller, agent: str, path: str) -> str:
    return str(caller.call("send", text=f"read {path}", agent_id=agent)["reply"])


def test_no_agent_reads_what_belongs_to_the_gateway(shell: Shell, operator: Caller) -> None:
    """By any path; the agents are the default one, a declared one, and added ones."""
    for agent, folder in (("bare", ""), ("reader", "docs")):
        operator.call("agents.register", id=agent, name=agent, workspace_dir=folder)
    mallory = attacker(operator)
    for agent in ("main", "luna", "bare", "reader"):
        for secret in SECRETS:
            for path in (secret, f"../{secret}", f"../../{secret}", f"./{secret.upper()}"):
                answer = reply(mallory, agent, path)
                assert CANARY not in answer, (agent, path)
                assert operator.token not in answer, (agent, path)
                assert REFUSED.search(answer), (agent, path, answer)
    assert "no such tool" in reply(mallory, "bare", ".")
    assert reply(mallory, "reader", "note.txt") == "a note for everyone"
    assert reply(mallory, "reader", ".") == "note.txt"
    mallory.close()


def test_links_into_a_folder_open_nothing_protected(shell: Shell, operator: Caller) -> None:
    """Hard links and symbolic ones, made before and after the agent was added."""
    docs = shell.folder / "docs"
    operator.call("agents.register", id="reader", name="reader", workspace_dir="docs")
    # A database with a second link is refused by the store itself.
    secrets = [secret for secret in SECRETS if "turngate.db" not in secret]
    for number, secret in enumerate(secrets):
        target = shell.folder / secret
        os.link(target, docs / f"hard{number}")
        (docs / f"soft{number}").symlink_to(target)
    mallory = attacker(operator)
    for number, secret in enumerate(secrets):
        assert "There is no file" in reply(mallory, "reader", f"hard{number}"), secret
        assert "symbolic link" in reply(mallory, "reader", f"soft{number}"), secret
    assert reply(mallory, "reader", ".") == "note.txt"
    mallory.close()


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        (".", "the workspace itself"),
        (".agents", "declared agents"),
        (".agents/luna", "declared agents"),
        (".agents/luna/deeper", "declared agents"),
        ("secret", "holds a secret"),
        (".turngate", "holds the home"),
        (".turngate/inside", "lies in the home"),
        ("alias", "holds a secret"),
        ("docs/inside", "overlaps with"),
    ],
)
def test_an_agent_is_not_added_with_such_a_folder(
    shell: Shell, operator: Caller, folder: str, says: str
) -> None:
    for name in (".agents/luna/deeper", ".turngate/inside", "docs/inside"):
        (shell.folder / name).mkdir()
    (shell.folder / "alias").symlink_to("secret")
    operator.call("agents.register", id="reader", name="reader", workspace_dir="docs")
    params = {"id": "eve", "name": "Eve", "workspace_dir": folder}
    error = operator.post("agents.register", params)["error"]
    assert error["data"]["kind"] == "invalid"
    assert says in error["message"]


@pytest.mark.parametrize("words", [("up", "--port", "0"), ("chat",)])
@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"TURNGATE_HOME": ".agents/luna/home"}, "holds the home of the gateway"),
        ({"TURNGATE_HOME": "alias/home"}, "holds the home of the gateway"),
        ({"TURNGATE_HOME": ".agents/luna"}, "holds the home of the gateway"),
        ({"TURNGATE_STORE": ".agents/luna/some.db"}, "holds the database"),
        ({"TURNGATE_TOKEN_FILE": ".agents/luna/AGENT.md"}, "holds a secret"),
    ],
)
def test_a_start_is_refused_when_an_agents_folder_holds_such_a_thing(
    shell: Shell, words: tuple[str, ...], environment: dict[str, str], says: str
) -> None:
    """The message names the agent, the place and the setting to change."""
    (shell.folder / "alias").symlink_to(".agents/luna")
    done = shell.run(*words, **{**HERE, **environment})
    assert done.returncode == 78
    assert "the agent 'luna' cannot have its folder" in done.stderr
    assert says in done.stderr
    assert f"set {next(iter(environment))} to a place outside of it" in done.stderr
    seen = shell.run("doctor", **{**HERE, **environment})
    assert seen.returncode == 1
    assert says in seen.stdout


def test_a_start_from_the_folder_of_an_agent_is_refused(shell: Shell, tmp_path: Path) -> None:
    """Its settings would be read from there."""
    inside = Shell(tmp_path / ".agents" / "luna")
    done = inside.run(
        "up", "--port", "0", WORKSPACE_DIR=str(tmp_path), TURNGATE_HOME=str(tmp_path / "home")
    )
    assert done.returncode == 78
    assert "holds the settings" in done.stderr
    assert "start turngate in another folder" in done.stderr


def test_a_folder_below_the_home_may_hold_the_workspace(shell: Shell) -> None:
    """One volume for both, as containers have it."""
    (shell.folder / "home" / "ws" / "docs").mkdir(parents=True)
    (shell.folder / "home" / "ws" / "docs" / "note.txt").write_text("inside")
    with gateway(shell, WORKSPACE_DIR="home/ws") as operator:
        operator.call("agents.register", id="reader", name="reader", workspace_dir="docs")
        assert reply(operator, "reader", "note.txt") == "inside"
        assert reply(operator, "main", ".") == "[the folder is empty]"
