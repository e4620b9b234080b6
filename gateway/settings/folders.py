"""Folders, and what is found in them."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from gateway.core.errors import ConfigError
from gateway.settings.section import CommaList, Section


class FolderSettings(Section):
    """See the module."""

    title = "Folders and tasks"

    workspace_dir: Path = Field(
        Path("workspace"),
        description="Folder with `routes.json` and `.agents/<id>/AGENT.md`.",
        examples=["/srv/turngate/workspace"],
    )
    turngate_home: Path = Field(
        Path(".turngate"),
        description="Folder for what the gateway keeps: its database.",
        examples=["/var/lib/turngate"],
    )
    turngate_home_group: str = Field(
        "",
        description="Group whose members are all trusted with the home, by name or number, for a "
        "volume that is mounted for a group; `.env` and `turngate.toml` cannot set it. Default: "
        "only a group without another user.",
        examples=["2000"],
    )
    turngate_cache: Path | None = Field(
        None,
        description="Folder for what can be fetched again: the weights of the local model; "
        "default: `turngate` in `XDG_CACHE_HOME` or `~/.cache`.",
        examples=["/var/cache/turngate"],
    )
    turngate_tasks: CommaList = Field(
        (),
        description="Durable tasks that may be started: `file.py:function` of the workspace, "
        "`module:function`, or an entry point's name, see "
        "[the tutorial](tutorials/durable-task.md).",
        examples=["tasks.py:report"],
    )

    @property
    def cache(self) -> Path:
        """The folder for what can be fetched again; raises `ConfigError` where there is no home."""
        if self.turngate_cache is not None:
            return self.turngate_cache
        try:
            return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "turngate"
        except RuntimeError as error:
            raise ConfigError("this user has no home folder; set TURNGATE_CACHE") from error
