"""Every tool there is. A new tool is one file beside this one and one line here."""

from __future__ import annotations

from agents.base.tools import Tool
from agents.tools.current_time import CurrentTime
from agents.tools.read_file import ReadFile

TOOLS: tuple[Tool, ...] = (
    CurrentTime(),
    ReadFile(),
)
