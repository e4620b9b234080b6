"""What a user may meet is somewhere on the pages: nothing is found out by reading the source."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from importlib import metadata

import click
import pytest
from pydantic import BaseModel, SecretStr

from agents.base.tools import Effect
from agents.settings import AgentSettings
from agents.tools.catalog import TOOLS
from benchmarks.__main__ import BENCHMARKS
from gateway.cli.main import everything
from gateway.commands.catalog import COMMANDS as SLASH
from gateway.core.crashpoints import POINTS
from gateway.core.errors import TABLE
from gateway.core.keys import DM_SCOPES
from gateway.events.kinds import Kind
from gateway.runs.task import Finish
from gateway.settings.keys import NumberedKey
from gateway.settings.settings import KNOWN, Settings
from gateway.store.base.store import Durability
from tests.docs import pages
from tests.docs.playing import MAKE

USERS_PAGES = [page for page in pages.pages() if page.name != "CHANGELOG.md"]


def code_words(*names: str) -> set[str]:
    """Everything in code type on these pages; on all of them without a name."""
    found: set[str] = set()
    for page in USERS_PAGES:
        if not names or pages.name(page) in names:
            for code in re.findall(r"`([^`\n]+)`", pages.prose(pages.read(page))):
                found |= {code, *re.split(r"[\s,=|]+", code)}
    return found


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its path, groups included."""
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


def make_targets() -> list[str]:
    """What `make` offers."""
    return re.findall(r"^\.PHONY: (\w+)", pages.read("Makefile"), re.MULTILINE)


def _later(name: str) -> bool:
    """Numbered settings are told with the number 1."""
    return name not in Settings.model_fields and not name.endswith("_1")


@pytest.mark.parametrize(
    ("what", "words", "page"),
    [
        ("setting", [name.upper() for name in KNOWN if not _later(name)], "docs/configuration.md"),
        ("member of AGENT.md", list(AgentSettings.model_fields), "docs/configuration.md"),
        ("error kind", [row.kind for row in TABLE.values()], "docs/errors.md"),
        ("event kind", list(Kind), "docs/protocol.md"),
        ("effect class", list(Effect), "docs/concepts.md"),
        ("crash point", list(POINTS), "docs/testing.md"),
        ("dm scope", list(DM_SCOPES), "docs/routing.md"),
        ("tool", [tool.spec.name for tool in TOOLS], "docs/concepts.md"),
        ("slash command", [f"/{one.name}" for one in SLASH], "docs/slash-commands.md"),
        ("benchmark", list(BENCHMARKS), "docs/performance.md"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_has_its_place(what: str, words: list[str], page: str) -> None:
    missing = sorted(set(words) - code_words(page))
    assert not missing, f"{page} does not mention each {what}: {missing}"


def test_every_setting_has_a_description_and_an_example_that_fits() -> None:
    """But for secrets: an example of one would be taken for one."""
    fields: list[tuple[type[BaseModel], str]]
    fields = [(Settings, name) for name in Settings.model_fields if name != "llm_keys"]
    fields += [(NumberedKey, name) for name in NumberedKey.model_fields if name != "number"]
    for model, name in fields:
        field = model.model_fields[name]
        assert field.description, name
        if field.annotation is not SecretStr:
            assert field.examples, f"{name} has no example: Field(..., examples=[…])"
            more = {"number": 1} if model is NumberedKey else {}
            model.model_validate({**more, name: field.examples[0]})


INSTALLERS = re.compile(
    r"\b(?:pip3?|pipx|uv|uvx|poetry|pdm)\b"
    r"(?:[ \t]+(?!turngate\b)[^\s`]+){0,6}?[ \t]+['\"]?turngate(?![\w./-])"
)
"""A package of our name from an index: there is none, and anybody could upload one."""


def test_nobody_is_told_to_install_a_name_that_is_not_ours() -> None:
    """By no page and by no message; a checkout installs itself by its path."""
    for told in (
        "pip install 'turngate[postgres]'",
        "python -m pip install -U turngate",
        "pip install asyncpg turngate==1.0",
        "uvx turngate up",
        "uv tool install turngate",
        "pipx run turngate",
    ):
        assert INSTALLERS.search(told), told
    for meant in ("pip install '.[postgres]'", "pip install ./turngate-1.whl", "pip and uv"):
        assert not INSTALLERS.search(meant), meant
    sources = [
        path
        for folder in ("agents", "channels", "gateway", "benchmarks", "examples")
        for path in (pages.ROOT / folder).rglob("*.py")
    ]
    wrong = [
        f"{path.relative_to(pages.ROOT)}: {found[0]}"
        for path in (*pages.pages(), pages.ROOT / "Makefile", *sources)
        if (found := INSTALLERS.search(path.read_text("utf-8")))
    ]
    assert not wrong, "\n".join(wrong)


def test_every_make_target_is_explained() -> None:
    missing = [name for name in make_targets() if f"make {name}" not in code_words()]
    # `make lint` is a part of the others and not offered by `make help`.
    assert set(missing) <= {"lint", "help"}, missing


def test_every_command_and_option_is_explained() -> None:
    said, turngate = code_words(), everything()
    missing = [
        f"{path} {option}".strip()
        for path, command in [("", turngate), *commands(turngate)]
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option not in said
    ]
    missing += [path for path, _ in commands(turngate) if f"turngate {path}" not in said]
    assert not missing, f"no page mentions {missing}"


def test_every_state_is_explained() -> None:
    """The words of the database are the words of the pages."""
    schema = pages.read("gateway/store/sql/migrations/0001_initial.sql")
    inputs, runs, steps, deliveries = re.findall(
        r"CREATE TABLE (?:inputs|runs|steps|deliveries) .*?CHECK \(\w+ IN \((.*?)\)\)",
        schema,
        re.DOTALL,
    )
    wanted = set(re.findall(r"'(\w+)'", inputs + runs + deliveries))
    assert wanted <= code_words("docs/concepts.md"), wanted - code_words("docs/concepts.md")
    assert set(Finish.__dataclass_fields__["status"].type.split('"')[1::2]) <= wanted
    assert steps


def test_every_durability_is_explained() -> None:
    design = pages.read("docs/design.md")
    assert all(f"| {level.name.lower()} |" in design for level in Durability)


def test_every_log_event_is_explained() -> None:
    missing = sorted(set(logged()) - code_words("docs/operations.md"))
    assert not missing, f"docs/operations.md does not say what these mean: {missing}"


def logged() -> Iterator[str]:
    """Names of log events, as they are written in the code."""
    for path in sorted(
        p for top in ("gateway", "agents", "channels") for p in (pages.ROOT / top).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ("log", "_log", "logger")
                and node.func.attr in ("debug", "info", "warning", "error", "exception")
                and node.args
            ):
                yield from _names(node.args[0])


def _names(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(name)):
            yield name
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), ast.FormattedValue()]):
            # `delivery.{state}`: every event kind of that family but the silent success.
            yield from (kind for kind in Kind if kind.startswith(start) and kind != "delivery.sent")
        case _:
            raise AssertionError(f"a log event without a name: {ast.unparse(node)}")


def test_every_terminal_member_is_explained() -> None:
    """What the protocol's own description names, the page names."""
    described = ast.get_docstring(ast.parse(pages.read("channels/stdio/ndjson.py"))) or ""
    members = set(re.findall(r'"(\w+)"(?=[:,}])|`(\w+)`', described))
    words = {word for pair in members for word in pair if word} - {"dedupes", "hello", "a1"}
    said = set(re.findall(r"\w+", " ".join(code_words("docs/terminal.md"))))
    missing = sorted(words - said)
    assert not missing, f"docs/terminal.md does not mention {missing}"


def test_make_does_what_the_first_page_says() -> None:
    """The test that types into a terminal leaves the installing out."""
    recipes = re.findall(
        r"^(run|chat):.*\n\t@(?:trap .*; )?\$\(BIN\)/(.+?)(?: \|\| .*)?$",
        pages.read("Makefile"),
        re.MULTILINE,
    )
    assert {f"make {target}": command for target, command in recipes} == MAKE


def test_the_glossary_leads_to_what_it_names() -> None:
    """Each place exists and holds the name behind it; terms are sorted and told once."""
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", pages.read("docs/glossary.md"), re.M
    )
    terms = [term for term, _, _ in rows[1:]]
    assert terms == sorted(set(terms))
    for term, _, where in rows[1:]:
        words = re.findall(r"`([^`]+)`", where)
        files = [pages.read(word) for word in words if "/" in word]
        names = [word for word in words if "/" not in word]
        assert files, term
        assert all(any(re.search(rf"\b{name}\b", text) for text in files) for name in names), term


NOUNS = {
    *("account", "agent", "binding", "channel", "delivery", "effect", "event", "guild", "lane"),
    *("message", "operator", "peer", "principal", "profile", "run", "session", "step", "thread"),
    "turn",
}
"""The words everything else is explained with."""


def test_the_glossary_has_the_nouns() -> None:
    told = set(re.findall(r"^\| ([^|]+) \|", pages.read("docs/glossary.md"), re.MULTILINE))
    assert told >= NOUNS, NOUNS - told


def test_licences_in_the_design_page_are_those_of_the_packages() -> None:
    """By family: MIT, Apache, BSD, MPL."""
    rows = re.findall(
        r"^\| ([\w.\-]+) \| [^|]+ \| ([^|]*(?:MIT|Apache|BSD|MPL)[^|]*) \|$",
        pages.read("docs/design.md"),
        re.MULTILINE,
    )
    assert len(rows) > 20
    for package, shown in rows:
        assert families(shown) == families(licence_of(package)), package


def families(text: str) -> set[str]:
    return set(re.findall(r"\b(?:MIT|Apache|BSD|MPL)", text))


def licence_of(package: str) -> str:
    """What a package says of itself, in whichever of three places it says it."""
    said = metadata.metadata(package)
    classified = [c for c in said.get_all("Classifier") or [] if c.startswith("License")]
    named = next((said[key] for key in ("License-Expression", "License") if key in said), "")
    return " ".join([named, *classified])


def test_a_machine_can_read_what_is_meant_for_one() -> None:
    """JSON and TOML on pages can be read by a machine."""
    for page in USERS_PAGES:
        for block in pages.blocks(pages.read(page)):
            if block.language == "json":
                json.loads(block.text)
            if block.language == "toml":
                found = tomllib.loads(block.text)
                # A file of another name is read by something else.
                assert block.file or set(found) <= set(Settings.model_fields)
