"""Writes the pages that the code knows best: `make docs`, or `python docs/generate.py --check`.

Settings, errors and layers are described where they are declared; here they are only laid out. A
page that is written as a whole says so on its first line; of the others only the part between the
two marks belongs to this program.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
from protocol_page import protocol_page  # beside this file
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from agents.failures import SENTENCES
from agents.settings import AgentSettings
from gateway.cli.doctor.catalog import CHECKS
from gateway.cli.main import everything
from gateway.commands.catalog import COMMANDS as SLASH_COMMANDS
from gateway.core import errors
from gateway.core.keys import DM_SCOPES, SessionScope
from gateway.settings import words as setting_words
from gateway.settings.section import Section
from gateway.settings.settings import KNOWN, SECTIONS, Settings
from gateway.settings.sources import FILE_SUFFIX, OTHER_VARIABLES
from gateway.simulate.catalog import GROUPS as FAULT_GROUPS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

WRITTEN = "<!-- Written by docs/generate.py: change the code, then run `make docs`. -->"

WHO_ACTS: tuple[tuple[type[errors.TurngateError], str], ...] = (
    (errors.CallerError, "the sender changes something, or waits"),
    (errors.OperatorError, "the operator changes something"),
    (errors.ToolError, "the model changes its call"),
    (errors.DeliveryError, "the gateway: resend, give up, or tell of a doubt"),
    (errors.RunError, "the run engine"),
    (errors.Bug, "no caller; the id leads to the log"),
)
"""The groups of the error tree; the first that fits."""

EXIT_CODES = {
    0: "done; also when the process was asked to end by SIGTERM",
    1: "an error without a code of its own",
    2: "a value or the command line does not fit",
    69: "something needed is not available: the store, the model, a gateway",
    70: "a bug of turngate; its traceback is in `incidents.log` below `XDG_STATE_HOME/turngate` "
    "or `~/.local/state/turngate`, under the id that was said",
    74: "something cannot be read or written, the output perhaps",
    75: "a bound was reached; the same may work later",
    77: "the credential is missing, or does not allow this",
    78: "the configuration is wrong",
    130: "interrupted by Ctrl-C",
}
"""What the exit codes mean, which follow sysexits.h; `_exit_codes` insists on all of the table."""

AGENT_SETTINGS = {
    "name": "What people call the agent; default: the name of its folder.",
    "model": "Model for this agent; default: `LLM_MODEL`.",
    "fallback_models": "Models to try after that one.",
    "dm_scope": "How far a direct conversation reaches, see [routing](routing.md#sessions).",
    "denied_tools": "Tools this agent does not have, `a, b` or a list; a name that no tool has "
    "is an error.",
    "max_tokens": "Most tokens of one answer.",
    "temperature": "Handed to the model, 0 to 2; default: the provider's.",
}
"""What each member of the front matter is for; `_agent_settings` insists on all of them."""


CONFIGURATION = (
    "# Configuration",
    "",
    "Settings are read once, when turngate starts. If some of them do not fit, all problems"
    " are listed together, and turngate ends with exit code 78.",
    "",
    "A setting may come from several places. The first one that has it wins:",
    "",
    "1. an option on the command line,",
    "2. an environment variable,",
    "3. a line in `.env` in the folder you start from,",
    "4. a line in `turngate.toml` in the same folder, under the name in small letters,",
    "5. the default.",
    "",
    "An empty variable counts as not set. A name that `turngate.toml` should not have is "
    "an error, and so is an unknown variable that begins with `TURNGATE_`, because a "
    "misspelt setting would otherwise be a silent default. Other programs "
    "have variables that begin with `LLM_` too: one that looks like a slip is told by "
    "`turngate up`, `chat` and `doctor`, and beside every problem it may have caused.",
    "",
    "A *secret* is masked in logs and never repeated in an error message. It may also be "
    "read from a file, as containers and systemd hand them over: "
    "`LLM_API_KEY_FILE=/run/secrets/llm` instead of `LLM_API_KEY`, in the environment or "
    "in `.env`. The file holds one line. Setting both is an error.",
    "",
    "A secret goes only to an address of its own source, or of a more trusted one. Options "
    "and the environment are yours; `.env` and `turngate.toml` belong to the folder, which "
    "may be a repository that you have cloned. So `LLM_API_KEY` from the environment with "
    "an `LLM_BASE_URL` from the folder is refused, with exit code 78: set `LLM_BASE_URL` "
    "in the environment as well, or move the key to `.env`. A key without any "
    "`LLM_BASE_URL` goes to OpenAI, and a key from the folder goes wherever you say. The "
    "same holds for numbered keys, for `PGPASSWORD` with a `TURNGATE_STORE` from the "
    "folder, and for the [token](operations.md#credentials). A secret that `.env` "
    "reads from a file outside of the folder counts as one of the environment.",
    "",
    "`turngate config show` lists every setting in force and where it comes from; "
    "`turngate config explain TURNGATE_PORT` tells all about one:",
    "",
    "```console",
    "$ TURNGATE_PORT=9000 turngate config explain turngate_port",
    "setting           TURNGATE_PORT",
    "meaning           Port; 0 picks a free one.",
    "takes             a whole number from 0 to 65535",
    "value             9000",
    "source            TURNGATE_PORT (environment)",
    "default           8765",
    "example           9000",
    "in turngate.toml  turngate_port",
    "$ TURNGATE_PROT=9000 TURNGATE_DURABILITY=hard turngate config show",
    "turngate: the settings do not fit:",
    "  TURNGATE_PROT (environment): there is no such setting; did you mean 'TURNGATE_PORT'?",
    "  TURNGATE_DURABILITY = hard (environment): takes one of normal, strict",
    "What a setting takes: turngate config explain NAME",
    "```",
    "",
)
"""What the page on settings says before their tables."""


def configuration() -> str:
    """The page on settings."""
    return "\n".join(
        [
            WRITTEN,
            *CONFIGURATION,
            *(line for section in SECTIONS for line in _section(section)),
            *_further_keys(),
            *_agents_own(),
            "## Other variables",
            "",
            "| variable | meaning |",
            "|---|---|",
            "| `NO_COLOR` | no colours in the terminal; wins over `FORCE_COLOR` |",
            "| `FORCE_COLOR` | colours although `TERM` is `dumb` |",
            *(f"| `{name}` | {meaning} |" for name, meaning in OTHER_VARIABLES.items()),
            "",
        ]
    )


def _further_keys() -> Iterator[str]:
    """The settings of a numbered key, and how some stand in a file."""
    yield from (
        "## Further keys",
        "",
        "`LLM_API_KEY_1`, `LLM_API_KEY_2` and so on up to 99 are further keys. What is said of "
        "a key has its number; here with 1:",
        "",
        *_table(
            ("variable", "option", "takes", "default", "example", "meaning"),
            (
                _setting(name, field, "")
                for name, field in KNOWN.items()
                if name not in Settings.model_fields and name.endswith("_1")
            ),
        ),
        "",
        "In `turngate.toml`:",
        "",
        "```toml",
        'llm_base_url = "http://127.0.0.1:8080/v1"',
        'llm_model = "name-of-the-model"',
        'turngate_durability = "strict"',
        "```",
        "",
    )


def _agents_own() -> Iterator[str]:
    """The front matter of `AGENT.md`."""
    yield from (
        "## An agent's own settings",
        "",
        "The front matter of `AGENT.md`, between two lines of `---`. A member that is not in "
        "this list is an error, and that agent is left out.",
        "",
        *_table(("member", "value", "default", "meaning"), _agent_settings()),
        "",
        "The text below the front matter is who the agent is. `TOOLS.md` beside it is advice "
        "on tools; both go into the system prompt.",
        "",
    )


def _section(section: type[Section]) -> Iterator[str]:
    """The settings of one subject."""
    yield from (f"## {section.title}", "")
    yield from _table(
        ("variable", "option", "takes", "default", "example", "meaning"),
        (
            _setting(name, field, _options().get(name.upper(), ""))
            for name, field in section.model_fields.items()
            if name in KNOWN
        ),
    )
    yield ""


def errors_page() -> str:
    """The page on errors."""
    return "\n".join(
        [
            WRITTEN,
            "# Errors",
            "",
            "Every refusal has a `kind`. Branch on that word: it stays. The message is a sentence "
            "for a person and may change. *Retryable* means that the very same request may "
            "succeed later; `retry_after_ms`, where it is given, says when. `code` is the number a "
            "JSON-RPC answer carries; several kinds may share one. The exit code is what a command "
            "ends with when such an error ends it.",
            "",
            *(line for family, words in WHO_ACTS for line in _errors_of(family, words)),
            "## Exit codes",
            "",
            *_table(("code", "meaning"), _exit_codes()),
            "",
            "A message that is refused, or a turn that fails, does not end the process: the sender "
            "is told, and the next one is served.",
            "",
            "## Why a model gave no answer",
            "",
            "A turn whose model fails ends as `failed` with one of these words, and the sender "
            "reads the sentence. The provider's own words are in the log, for the operator.",
            "",
            *_table(
                ("word", "what the sender is told"),
                (
                    (f"`{word}`", sentence.format(when="try again in a moment"))
                    for word, sentence in SENTENCES.items()
                ),
            ),
            "",
            "An agent that kept calling tools without an answer fails with `tool_rounds`, "
            "`tool_calls` or `tool_output`, by the bound that was reached, and a "
            "turn that the run engine had to give up fails with that error's kind from above.",
            "",
        ]
    )


def layers() -> str:
    """The picture of the layers: the list of the architecture test, in the words of the code."""
    written = importlib.import_module("tests.architecture.test_layers")
    picture = ["```text"]
    for number, line in enumerate(written.LAYERS, start=1):
        for place, name in enumerate(line):
            shown = f"({name})" if name in written.PLANNED else name
            rank = "" if place else str(number)
            picture.append(f"{rank:>2}  {shown:<21} {_summary(name)}".rstrip())
    picture += ["", "beside them, each against its own seam:"]
    for name, seam in written.ADAPTERS.items():
        picture.append(f"    {name + '.*':<21} {seam}")
    return "\n".join([*picture, "```"])


def faults() -> str:
    """Every fault of the simulator."""
    lines: list[str] = []
    for title, group in FAULT_GROUPS.items():
        rows = ((f"`{f.name}`", f.shows, f"`{f.leads_to}`") for f in group)
        lines += [
            f"### {title.capitalize()}",
            "",
            *_table(("fault", "a client sees", "it is"), rows),
            "",
        ]
    return "\n".join(lines).rstrip()


def checks() -> str:
    """What `turngate doctor` asks."""
    return "\n".join(_table(("check", "asks"), ((f"`{c.name}`", c.asks) for c in CHECKS)))


def slash_commands() -> str:
    """The catalogue of slash commands."""
    return "\n".join(
        _table(
            ("command", "what it does", "scope", "immediate", "for programs"),
            (
                (
                    " or ".join(f"`{word}`" for word in (c.usage, *(f"/{a}" for a in c.aliases))),
                    c.tells,
                    c.scope.value,
                    "yes" if c.immediate else "",
                    f"`{c.twin}`" if c.twin else "",
                )
                for c in SLASH_COMMANDS
            ),
        )
    )


def pages() -> dict[Path, str]:
    """Every file this program writes, as it should be."""
    design, simulator = DOCS / "design.md", DOCS / "simulator.md"
    doctor, slash = DOCS / "howto" / "doctor.md", DOCS / "slash-commands.md"
    return {
        DOCS / "configuration.md": configuration(),
        DOCS / "errors.md": errors_page(),
        DOCS / "commands.md": commands_page(),
        DOCS / "protocol.md": f"{WRITTEN}\n{protocol_page()}",
        design: _between_marks(design.read_text("utf-8"), "layers", layers),
        simulator: _between_marks(simulator.read_text("utf-8"), "faults", faults),
        slash: _between_marks(slash.read_text("utf-8"), "slash commands", slash_commands),
        doctor: _between_marks(doctor.read_text("utf-8"), "checks", checks),
    }


# --- laying out ----------------------------------------------------------------------------------


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield _row(head)
    yield "|" + "---|" * len(head)
    for row in rows:
        yield _row(row)


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _between_marks(text: str, name: str, make: Callable[[], str]) -> str:
    start, end = f"<!-- {name}: written by docs/generate.py -->", f"<!-- /{name} -->"
    pattern = re.compile(f"({re.escape(start)}\n).*?({re.escape(end)})", re.DOTALL)
    made = make()
    fresh, count = pattern.subn(lambda found: f"{found[1]}{made}\n{found[2]}", text)
    if count != 1:
        raise SystemExit(f"the marks of {name!r} are missing")
    return fresh


# --- settings ------------------------------------------------------------------------------------


def _setting(name: str, field: FieldInfo, option: str) -> tuple[str, ...]:
    secret = f"**Secret**, also from `{name.upper()}{FILE_SUFFIX}`. "
    return (
        f"`{name.upper()}`",
        f"`{option}`" if option else "",
        setting_words.takes(field),
        _default(field.default),
        _code(setting_words.example(field)),
        f"{secret if setting_words.is_secret(field) else ''}{field.description or ''}",
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _agent_settings() -> Iterator[tuple[str, ...]]:
    fields = AgentSettings.model_fields
    if fields.keys() != AGENT_SETTINGS.keys():
        raise SystemExit(f"say what these are for: {fields.keys() ^ AGENT_SETTINGS.keys()}")
    for name, field in fields.items():
        yield f"`{name}`", _type(field.annotation), _default(field.default), AGENT_SETTINGS[name]


def _options() -> dict[str, str]:
    """Options of all commands by the variable their help names in brackets."""
    return {
        variable: option.opts[-1]
        for command in everything().commands.values()
        for option in command.params
        if isinstance(option, click.Option)
        for variable in re.findall(r"\(([A-Z_]+)\)", option.help or "")
    }


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if annotation is SessionScope:
        return ", ".join(f"`{scope}`" for scope in DM_SCOPES)
    if get_origin(annotation) is types.UnionType:
        return _type(next(kind for kind in get_args(annotation) if kind is not types.NoneType))
    if get_origin(annotation) is tuple:
        return "list of words"
    words = {
        Path: "path",
        str: "text",
        SecretStr: "text",
        int: "whole number",
        float: "number",
        bool: "`true` or `false`",
    }
    return words[annotation]


def _default(value: object) -> str:
    match value:
        case SecretStr() | "" | () | None:
            return ""
        case _:
            return f"`{value}`"


# --- commands ------------------------------------------------------------------------------------


def commands_page() -> str:
    """Every command with its options, as `--help` tells them."""
    lines = [
        WRITTEN,
        "# Commands",
        "",
        "`turngate <command> --help` says the same. Commands other than `init`, `doctor`, `up`, "
        "`chat`, `model`, `simulate`, `store` and `config` speak to a running gateway: the one of "
        "`--url`, of `TURNGATE_URL`, or the one that `up` started on the same home folder. "
        "Without one they end with exit code 69. Data goes to "
        "stdout, everything else to stderr; [errors](errors.md#exit-codes) lists the exit codes.",
        "",
        "Groups: "
        + ", ".join(
            f"`turngate {name}`"
            for name, command in everything().commands.items()
            if isinstance(command, click.Group)
        )
        + ".",
        "",
        "`--help` (`-h`) and `--version` work without a gateway. Colours are for terminals: "
        '`NO_COLOR` turns them off. Completion: put `eval "$(_TURNGATE_COMPLETE=bash_source '
        'turngate)"` into `~/.bashrc`, the same with `zsh_source` into `~/.zshrc`, or '
        "`_TURNGATE_COMPLETE=fish_source turngate | source` into fish's configuration.",
        "",
    ]
    for path, command in _commands(everything()):
        lines += [f"## `turngate {path}`", "", command.help or "", ""]
        options = [
            (", ".join(f"`{word}`" for word in option.opts), option.help or "")
            for option in command.params
            if isinstance(option, click.Option)
        ]
        arguments = [each for each in command.params if isinstance(each, click.Argument)]
        if arguments:
            words = ", ".join(f"`{argument.name}`" for argument in arguments)
            lines += [f"Takes {words}.", ""]
        if options:
            lines += [*_table(("option", "meaning"), iter(options)), ""]
    return "\n".join(lines)


def _commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path}{name} ")


# --- errors --------------------------------------------------------------------------------------


def _errors_of(family: type[errors.TurngateError], words: str) -> Iterator[str]:
    """The kinds of one family, under who has to act on them."""
    yield f"## {words[0].upper()}{words[1:]}"
    yield ""
    yield from _table(
        ("kind", "code", "retryable", "exit code", "meaning"),
        (_error(cls, row) for cls, row in errors.TABLE.items() if issubclass(cls, family)),
    )
    yield ""


def _error(cls: type[errors.TurngateError], row: errors.Row) -> tuple[str, ...]:
    meaning = (cls.__doc__ or "").split("\n")[0]
    return (
        f"`{row.kind}`",
        str(row.code),
        "yes" if row.retryable else "no",
        str(row.exit_code),
        meaning,
    )


def _exit_codes() -> Iterator[tuple[str, ...]]:
    unsaid = {row.exit_code for row in errors.TABLE.values()} - EXIT_CODES.keys()
    if unsaid:
        raise SystemExit(f"say what these exit codes mean: {unsaid}")
    for code, meaning in EXIT_CODES.items():
        yield str(code), meaning


# --- layers --------------------------------------------------------------------------------------


def _summary(name: str) -> str:
    path = ROOT.joinpath(*name.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not source.exists():
        return ""
    return (ast.get_docstring(ast.parse(source.read_text("utf-8"))) or "").split("\n")[0]


def main() -> None:
    """Write what is stale, or with `--check` say what would be written and end with 1."""
    sys.path.insert(0, str(ROOT))  # the list of layers lives with its test
    stale = [
        (path, text)
        for path, text in pages().items()
        if not path.exists() or path.read_text("utf-8") != text
    ]
    for path, text in stale:
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
        if "--check" not in sys.argv:
            path.write_text(text, "utf-8")
    sys.exit(1 if stale and "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
