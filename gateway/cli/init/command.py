"""`turngate init` itself: looks around, asks if a person can answer, writes, sums up."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from gateway.cli.init.files import IGNORES, Put, missing_ignores, put, workspace_files
from gateway.cli.init.finding import Offer, offers
from gateway.cli.init.settings_file import secrets_file, settings_file
from gateway.cli.model_servers import find_local
from gateway.cli.options import JSON
from gateway.cli.output import show
from gateway.cli.visible import fitted
from gateway.core.errors import InvalidInput

WORKSPACE = Path("workspace")
ENV = Path(".env")
SETTINGS = Path("turngate.toml")
HOW = "put llm_model and llm_base_url into turngate.toml, LLM_API_KEY into .env"
"""The page docs/howto/real-model.md in a line: who has installed a package has no pages."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What goes into the files: settings, and lines of `.env`."""

    settings: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    key_variable: str = ""
    """A variable that holds the key under a name turngate does not read."""


def command(name: str) -> click.Command:
    """The command under its name."""
    return click.Command(
        name,
        params=[
            click.Option(
                ["--dir", "folder"],
                type=click.Path(file_okay=False, path_type=Path),
                default=Path(),
                help="Where to write; default: here.",
            ),
            click.Option(["--yes", "-y"], is_flag=True, help="Ask nothing, take what is found."),
            click.Option(["--llm-model"], default="", help="Name of the model that answers."),
            click.Option(["--llm-base-url"], default="", help="Where its server listens."),
            JSON,
        ],
        callback=_init,
        help="Write a first agent, routes and settings that explain themselves. Looks for keys in "
        "the environment and for servers of models on this machine. Keeps every file "
        "that is there.",
    )


def _init(folder: Path, yes: bool, llm_model: str, llm_base_url: str, as_json: bool) -> None:
    found = offers(os.environ, asyncio.run(find_local()))
    if llm_base_url and not llm_model:
        raise InvalidInput("--llm-base-url needs --llm-model: which of its models should answer?")
    if llm_model:
        answers = _answers(Offer("", llm_base_url), llm_model)
    elif yes or as_json or not sys.stdin.isatty():
        free = next((each for each in found if each.models), None)
        answers = _answers(free, free.models[0]) if free else Answers()
    else:
        answers = ask(found, click.prompt, click.confirm)
    done = write(folder, answers)
    if as_json:
        show(_facts(folder, found, answers, done), as_json=True)
    else:
        _tell(folder, found, answers, done)


def _answers(offer: Offer, model: str) -> Answers:
    settings = {"llm_model": model, "llm_base_url": offer.base_url}
    return Answers({name: value for name, value in settings.items() if value})


def ask(found: list[Offer], prompt: Callable[..., Any], confirm: Callable[..., bool]) -> Answers:
    """Three questions at most; every one has an answer that needs only Enter."""
    click.echo("Which model should answer?", err=True)
    for number, offer in enumerate(found, start=1):
        click.echo(f"  {number}  {offer.told}", err=True)
    other, none = len(found) + 1, len(found) + 2
    click.echo(f"  {other}  another server that speaks OpenAI's protocol", err=True)
    click.echo(f"  {none}  none for now, the small local model answers", err=True)
    first = 1 if found and found[0].models else none
    number = prompt("Number", type=click.IntRange(1, none), default=first, err=True)
    if number == none:
        return Answers()
    if number == other:
        url = prompt("Its address, up to and with /v1", type=str, err=True)
        offer = Offer("", url)
    else:
        offer = found[number - 1]
    model = prompt(
        "Name of the model", default=offer.models[0] if offer.models else None, type=str, err=True
    )
    answers = _answers(offer, model)
    if number == other:
        key = prompt(
            "Its key, kept in .env (Enter for none)",
            default="",
            hide_input=True,
            show_default=False,
            err=True,
        )
        return Answers(answers.settings, {"LLM_API_KEY": key} if key else {})
    if offer.variable and offer.variable != "OPENAI_API_KEY":
        if confirm(f"Copy {offer.variable} into .env, for you alone to read?", err=True):
            key = os.environ[offer.variable].strip()
            return Answers(answers.settings, {"LLM_API_KEY": key})
        return Answers(answers.settings, key_variable=offer.variable)
    return answers


def write(folder: Path, answers: Answers) -> Put:
    files = {
        **{folder / path: text for path, text in workspace_files(WORKSPACE).items()},
        folder / SETTINGS: settings_file(answers.settings),
        folder / ".env.example": secrets_file(),
        folder / ".gitignore": "".join(f"{line}\n" for line in IGNORES),
    }
    if answers.secrets:
        lines = (f"{name}={_quoted(value)}\n" for name, value in answers.secrets.items())
        files[folder / ENV] = "".join(lines)
    return put(files, secret=(folder / ENV,))


def _quoted(value: str) -> str:
    """As python-dotenv reads it back."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _steps(folder: Path, found: list[Offer], answers: Answers, done: Put) -> list[str]:
    """What is left to do, in order."""
    steps: list[str] = []
    if folder != Path():
        steps.append(f"cd {folder}")
    for path, values in (
        (folder / SETTINGS, answers.settings),
        (folder / ENV, answers.secrets),
    ):
        if path in done.kept and values:
            names = ", ".join(values)
            steps.append(f"put {names} into {path}, which was kept as it is")
    if missing := missing_ignores(folder):
        steps.append(f"add {' and '.join(missing)} to .gitignore, which was kept as it is")
    if answers.key_variable:
        # The key comes from the environment, so the address has to, too: see `settings.trust`.
        url = answers.settings.get("llm_base_url", "")
        steps.append(f'export LLM_API_KEY="${answers.key_variable}" LLM_BASE_URL={url}')
    if not answers.settings and folder / SETTINGS not in done.kept:
        steps += [
            f"for a real model ({offer.told}): {HOW}" for offer in found[:1] if offer.variable
        ] or [f"for a real model: {HOW}"]
    return [*steps, "turngate doctor", "turngate up", 'turngate send "hello"']


def _facts(folder: Path, found: list[Offer], answers: Answers, done: Put) -> dict[str, Any]:
    return {
        "folder": str(folder.absolute()),
        "made": [str(path.relative_to(folder)) for path in done.made],
        "kept": [str(path.relative_to(folder)) for path in done.kept],
        "settings": answers.settings,
        "found": [
            {"name": each.name, "base_url": each.base_url, "models": list(each.models)}
            | ({"variable": each.variable} if each.variable else {})
            for each in found
        ],
        "next": _steps(folder, found, answers, done),
    }


def _tell(folder: Path, found: list[Offer], answers: Answers, done: Put) -> None:
    for path in done.made:
        click.echo(f"made  {path}")
    for path in done.kept:
        click.echo(f"kept  {path}")
    if model := answers.settings.get("llm_model"):
        who = f"{model} answers."
    else:
        who = "The small local model answers, until another is set."
    if folder / SETTINGS in done.kept:
        who = f"{SETTINGS} says who answers, as before."
    click.echo(f"\n{who}\nNext:")
    for step in _steps(folder, found, answers, done):
        click.echo(fitted(f"  {step}", 0, sys.stdout))
