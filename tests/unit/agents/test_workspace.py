from __future__ import annotations

import os
from pathlib import Path

import pytest

from agents import workspace
from agents.base.agents import Agent, Agents
from agents.workspace import Problem, Workspace, default_agent, load
from gateway.core.ids import AgentId
from gateway.core.keys import SessionScope

not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")


def declare(root: Path, name: str, text: str = "You are a test.", **files: str) -> Path:
    folder = root / ".agents" / name
    folder.mkdir(parents=True)
    (folder / "AGENT.md").write_text(text, "utf-8")
    for file, content in files.items():
        (folder / f"{file}.md").write_text(content, "utf-8")
    return folder


def only_problem(found: Workspace) -> Problem:
    (problem,) = found.problems
    return problem


def agent(found: Workspace, name: str) -> Agent:
    known = found.get(AgentId(name))
    assert known is not None, found.problems
    return known


def test_a_folder_is_an_agent_if_it_holds_its_file(tmp_path: Path) -> None:
    declare(tmp_path, "luna")
    (tmp_path / ".agents" / "notes").mkdir()
    (tmp_path / ".agents" / "README.md").write_text("not a folder")
    (tmp_path / ".agents" / "odd" / "AGENT.md").mkdir(parents=True)
    found = load(tmp_path)
    assert found.ids() == ("luna",)
    assert found.problems == ()


def test_everything_the_file_says_is_in_the_record(tmp_path: Path) -> None:
    text = """---
name: Luna the second
model: big-model
fallback_models: small-model, tiny-model
dm_scope: per-peer
denied_tools: [read_file]
max_tokens: 512
temperature: 0.3
---
You are Luna.
"""
    folder = declare(tmp_path, "luna", text, TOOLS="Use them well.\n")
    assert agent(load(tmp_path), "luna") == Agent(
        id=AgentId("luna"),
        name="Luna the second",
        identity="You are Luna.\n",
        directory=folder.resolve(),
        guidance="Use them well.\n",
        model="big-model",
        fallback_models=("small-model", "tiny-model"),
        dm_scope=SessionScope.PER_PEER,
        denied_tools=frozenset({"read_file"}),
        max_tokens=512,
        temperature=0.3,
        revision=agent(load(tmp_path), "luna").revision,
    )


def test_a_plain_file_is_an_identity_with_defaults(tmp_path: Path) -> None:
    declare(tmp_path, "luna", "You are Luna.")
    luna = agent(load(tmp_path), "luna")
    assert (luna.identity, luna.name, luna.guidance) == ("You are Luna.", "luna", "")
    assert luna.dm_scope is SessionScope.PER_CHANNEL_PEER


def test_front_matter_without_a_body_is_the_identity(tmp_path: Path) -> None:
    """The whole text is used when the body is empty."""
    text = "---\nname: Luna\n---\n\n"
    declare(tmp_path, "luna", text)
    luna = agent(load(tmp_path), "luna")
    assert (luna.identity, luna.name) == (text, "Luna")


def test_folders_are_found_under_their_normalised_name(tmp_path: Path) -> None:
    declare(tmp_path, "Luna Moon")
    found = load(tmp_path)
    assert found.ids() == ("luna-moon",)
    assert agent(found, "LUNA MOON").name == "Luna Moon"
    assert found.get(AgentId("nobody")) is None


def test_two_folders_of_one_id_are_both_refused(tmp_path: Path) -> None:
    declare(tmp_path, "Luna!")
    declare(tmp_path, "luna")
    declare(tmp_path, "sol")
    found = load(tmp_path)
    assert found.ids() == ("sol",)
    assert [problem.path.name for problem in found.problems] == ["Luna!", "luna"]
    assert "'Luna!', 'luna' are all the agent 'luna'" in found.problems[0].message


def test_a_name_without_letters_is_reported(tmp_path: Path) -> None:
    declare(tmp_path, "___")
    assert "no letter or digit" in only_problem(load(tmp_path)).message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\ndenied_tools: read_flie\n---\nI", "'read_flie'; did you mean 'read_file'?"),
        ("---\ndenied_tools: [read_file, Read_File]\n---\nI", "did you mean 'read_file'?"),
        ("---\ndenied_tools: shell\n---\nI", "no tool 'shell'; known: current_time, read_file"),
        (
            "---\ndenied_tool: x\n---\nI",
            "denied_tool: no such setting; did you mean 'denied_tools'?",
        ),
        ("---\nzzz: x\n---\nI", "zzz: no such setting; it takes name, model, fallback_models"),
        ("---\ndm_scope: all\n---\nI", "dm_scope: must be one of main, per-peer"),
        ("---\nmax_tokens: many\n---\nI", "max_tokens: Input should be a valid integer"),
        ("---\nname: x\nI", "not closed"),
        (" \n\n", "the file is empty"),
    ],
)
def test_a_wrong_file_is_reported_and_the_others_load(tmp_path: Path, text: str, says: str) -> None:
    folder = declare(tmp_path, "luna", text)
    declare(tmp_path, "sol")
    found = load(tmp_path)
    assert found.ids() == ("sol",)
    problem = only_problem(found)
    assert problem.path == folder / "AGENT.md"
    assert says in problem.message


def test_a_problem_does_not_repeat_the_value(tmp_path: Path) -> None:
    """Somebody may have put a key where a number belongs."""
    declare(tmp_path, "luna", "---\nmax_tokens: sk-secret\n---\nI")
    assert "sk-secret" not in only_problem(load(tmp_path)).message


def test_long_files_are_cut_with_a_marker(tmp_path: Path) -> None:
    declare(tmp_path, "luna", "ä" * 30_000, TOOLS="🌍" * 90_000)
    luna = agent(load(tmp_path), "luna")
    for text, name in ((luna.identity, "AGENT.md"), (luna.guidance, "TOOLS.md")):
        assert text[20_000:] == workspace.CUT_MARKER.format(name=name, limit=20_000)


def test_a_character_cut_by_the_bounded_read_is_no_mistake(tmp_path: Path) -> None:
    declare(tmp_path, "luna", "x" + "🌍" * 90_000)
    assert agent(load(tmp_path), "luna").identity.startswith("x🌍")


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path: Path) -> None:
    folder = declare(tmp_path, "luna")
    (folder / "AGENT.md").write_text("---\nname: Luna\n---\nYou are Luna.", "utf-8-sig")
    (folder / "TOOLS.md").write_text("Use them.", "utf-8-sig")
    luna = agent(load(tmp_path), "luna")
    assert (luna.name, luna.identity, luna.guidance) == ("Luna", "You are Luna.", "Use them.")


def test_text_that_is_no_text_is_reported(tmp_path: Path) -> None:
    folder = declare(tmp_path, "luna")
    (folder / "AGENT.md").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text (byte 0)" in only_problem(load(tmp_path)).message


def test_links_that_leave_the_workspace_are_refused(tmp_path: Path) -> None:
    outside = declare(tmp_path / "outside", "evil")
    inside = tmp_path / "safe"
    declare(inside, "sol")
    (inside / ".agents" / "folder").symlink_to(outside)
    (inside / ".agents" / "file").mkdir()
    (inside / ".agents" / "file" / "AGENT.md").symlink_to(outside / "AGENT.md")
    found = load(inside)
    assert found.ids() == ("sol",)
    assert [problem.path.name for problem in found.problems] == ["file", "folder"]
    assert all("leaves the workspace" in problem.message for problem in found.problems)


def test_a_folder_whose_name_begins_like_the_workspace_is_outside(tmp_path: Path) -> None:
    evil = declare(tmp_path / "safevil", "evil")
    (tmp_path / "safe" / ".agents").mkdir(parents=True)
    (tmp_path / "safe" / ".agents" / "evil").symlink_to(evil)
    assert load(tmp_path / "safe").ids() == ()


def test_guidance_is_not_read_through_a_link_either(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("key")
    folder = declare(tmp_path / "safe", "luna")
    (folder / "TOOLS.md").symlink_to(tmp_path / "secret")
    problem = only_problem(load(tmp_path / "safe"))
    assert problem.path == folder / "TOOLS.md"
    assert "leaves the workspace" in problem.message


def test_links_within_the_workspace_are_followed(tmp_path: Path) -> None:
    declare(tmp_path, "luna")
    shared = tmp_path / "shared"
    (declare(tmp_path, "sol")).rename(shared)
    (tmp_path / ".agents" / "sol").symlink_to(shared)
    (tmp_path / ".agents" / "loop").symlink_to(tmp_path / ".agents" / "loop")
    found = load(tmp_path)
    assert found.ids() == ("luna", "sol")
    assert agent(found, "sol").directory == shared.resolve()


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("luna", "overlaps with the folder of the agent 'luna'"),
        ("luna/sub", "overlaps with the folder of the agent 'luna'"),
        ("..", "holds all agents"),
        (".", "holds all agents"),
    ],
)
def test_a_link_to_what_others_own_is_no_folder_for_an_agent(
    tmp_path: Path, target: str, says: str
) -> None:
    """Its file tools would read it; the agent whose folder it is stays."""
    luna = declare(tmp_path, "luna")
    (luna / "sub").mkdir()
    for folder in (luna / "sub", tmp_path, tmp_path / ".agents"):
        (folder / "AGENT.md").write_text("Sol.")
    (tmp_path / ".agents" / "sol").symlink_to(target)
    found = load(tmp_path)
    assert found.ids() == ("luna",)
    problem = next(each for each in found.problems if each.agent == "sol")
    assert says in problem.message
    assert "give it a folder of its own" in problem.message


def test_two_links_to_one_folder_are_both_left_out(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    declare(tmp_path, "luna").rename(shared)
    for name in ("luna", "sol"):
        (tmp_path / ".agents" / name).symlink_to(shared)
    assert load(tmp_path).ids() == ()


def test_a_workspace_may_be_missing_or_empty(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        found = load(root)
        assert (found.ids(), found.problems) == ((), ())


def test_a_workspace_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / ".agents").write_text("a file where a folder belongs")
    assert "cannot be read" in only_problem(load(tmp_path)).message


@not_as_root
def test_a_folder_that_may_not_be_read_is_reported(tmp_path: Path) -> None:
    folder = declare(tmp_path, "luna")
    declare(tmp_path, "sol")
    folder.chmod(0)
    found = load(tmp_path)
    folder.chmod(0o700)
    assert found.ids() == ("sol",)
    assert "Permission denied" in only_problem(found).message


def test_a_folder_of_something_else_is_looked_at_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "MAX_AGENTS", 2)
    for name in ("a", "b", "c"):
        declare(tmp_path, name)
    found = load(tmp_path)
    assert found.ids() == ("a", "b")
    assert "first 2 of 3" in only_problem(found).message


def test_the_revision_changes_with_what_a_turn_is_made_of(tmp_path: Path) -> None:
    folder = declare(tmp_path, "luna", "---\ndenied_tools: [read_file, current_time]\n---\nI")
    first = agent(load(tmp_path), "luna").revision
    assert first == agent(load(tmp_path), "luna").revision
    (folder / "AGENT.md").write_text("---\ndenied_tools: current_time, read_file\n---\nI")
    assert agent(load(tmp_path), "luna").revision == first
    seen = {first}
    for text in ("I.", "---\nmodel: m\n---\nI", "---\ntemperature: 1\n---\nI"):
        (folder / "AGENT.md").write_text(text)
        seen.add(agent(load(tmp_path), "luna").revision)
    (folder / "TOOLS.md").write_text("new")
    seen.add(agent(load(tmp_path), "luna").revision)
    assert len(seen) == 5


def test_the_default_agent_needs_no_workspace(tmp_path: Path) -> None:
    main = default_agent(tmp_path)
    found: Agents = Workspace([main])
    assert found.ids() == ("main",)
    assert found.get(AgentId("main")) == main
    assert main.identity
    assert main.revision
