"""Where everything durable is kept, for how long, and by how many processes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.settings.section import Section

_POSTGRES = ("postgresql://", "postgres://")


class StoreSettings(Section):
    """See the module."""

    title = "Store and processes"

    turngate_store: str = Field(
        "",
        description="Path of the database file, `:memory:`, or the address of a PostgreSQL "
        "database as `postgresql://user:password@host/name`; default: a file in the home folder.",
        examples=["/var/lib/turngate/turngate.db"],
    )
    turngate_durability: Literal["normal", "strict"] = Field(
        "normal",
        description="`strict` flushes every write to disk, not only those that must survive a "
        "loss of power.",
        examples=["strict"],
    )
    turngate_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="How many processes `up` runs on one port; more than one needs PostgreSQL.",
        examples=["4"],
    )
    turngate_lease: float = Field(
        30.0,
        ge=1.0,
        le=3600.0,
        description="Seconds after which other processes take over what a silent one was at.",
        examples=["10"],
    )
    turngate_keep_days: int = Field(
        30,
        ge=1,
        le=36_500,
        description="Days for which messages, answers and runs are kept once they have ended; "
        "conversations stay.",
        examples=[7],
    )
    turngate_keep_event_days: int = Field(
        7, ge=1, le=36_500, description="Days for which the log of events is kept.", examples=[30]
    )
    turngate_keep_events: int = Field(
        1_000_000,
        ge=1000,
        description="Maximum number of entries of the log of events; the oldest go first.",
        examples=[100_000],
    )

    @property
    def postgres_url(self) -> str:
        """Address of the PostgreSQL database, with its password; empty when it is SQLite."""
        return self.turngate_store if self.turngate_store.startswith(_POSTGRES) else ""

    def problems(self) -> dict[str, str]:
        problems: dict[str, str] = {}
        if "://" in self.turngate_store and not self.postgres_url:
            problems["turngate_store"] = "should be a path, :memory: or postgresql://…"
        if self.turngate_processes > 1 and not self.postgres_url:
            problems["turngate_processes"] = (
                "several processes need a database they can share; set "
                "TURNGATE_STORE=postgresql://…"
            )
        return problems
