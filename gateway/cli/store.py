"""`turngate store`: check, back up, restore, migrate and copy the database, without RPC."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from gateway.cli.options import JSON, RUNNING_HOME, Group
from gateway.cli.output import show
from gateway.cli.progress import copied
from gateway.composition import keeping
from gateway.core import home as home_folder
from gateway.settings.settings import Settings, load_settings


def command(name: str) -> click.Group:
    """The group with its five commands."""
    group = Group(name, help="The database of the gateway that would start here.")
    file = click.Argument(["file"], type=click.Path(path_type=Path))
    url = click.Argument(["url"])
    for verb, work, argument, text in (
        ("check", _check, None, "Check its integrity; ends with 1 when it is damaged."),
        ("backup", _backup, file, "Copy it to a file, while a gateway runs or not."),
        ("restore", _restore, file, "Put a backup in its place; no gateway may run."),
        (
            "migrate",
            _migrate,
            None,
            "Bring its schema up to date; of a file there is a backup first.",
        ),
        ("copy", _copy, url, "Copy it into an empty PostgreSQL; no gateway may run."),
    ):
        params = [*([] if argument is None else [argument]), RUNNING_HOME, JSON]
        group.add_command(click.Command(verb, params=params, callback=work, help=text))
    return group


def _check(home: str | None, as_json: bool) -> None:
    report = keeping.check(_settings(home))
    shown = {
        "database": report.name,
        "schema": report.version,
        "problems": list(report.problems),
        "rows": report.rows,
    }
    show(shown, as_json=as_json)
    report.raise_problems()


def _backup(file: Path, home: str | None, as_json: bool) -> None:
    settings = _settings(home)
    digest = keeping.back_up(settings, file, copied("pages"))
    show({"backup": str(file), "sha256": digest, "checked": True}, as_json=as_json)


def _restore(file: Path, home: str | None, as_json: bool) -> None:
    former = keeping.restore(_settings(home), file, copied("pages"))
    show({"restored": str(file), "former": str(former or "")}, as_json=as_json)
    click.echo(
        "turngate: what was sent or answered since the backup may be sent or answered again",
        err=True,
    )


def _migrate(home: str | None, as_json: bool) -> None:
    before, after = keeping.migrate(_settings(home))
    keeping.check(_settings(home)).raise_problems()
    show({"before": before, "after": after, "checked": True}, as_json=as_json)


def _copy(url: str, home: str | None, as_json: bool) -> None:
    rows = asyncio.run(keeping.copy(_settings(home), url, copied("rows")))
    show({"rows": rows, "checked": True}, as_json=as_json)


def _settings(home: str | None) -> Settings:
    settings = load_settings(turngate_home=home)
    home_folder.check(settings.turngate_home, settings.home_group)
    if settings.database is not None:
        home_folder.check_database(settings.database, settings.home_group)
    return settings
