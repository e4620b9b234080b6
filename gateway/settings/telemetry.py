"""What the gateway tells about itself."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gateway.settings.section import Section


class TelemetrySettings(Section):
    """See the module."""

    title = "Logs and metrics"

    turngate_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="How much is logged to stderr.", examples=["info"]
    )
    turngate_open_metrics: bool = Field(
        False, description="Whether `/metrics` is answered without a token.", examples=[True]
    )
