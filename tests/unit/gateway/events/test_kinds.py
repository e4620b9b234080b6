"""The names of events are words of the wire."""

import re

from gateway.events.kinds import Kind


def test_every_kind_belongs_to_a_family() -> None:
    """`family.what`, so that a filter can ask for a family."""
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", kind) for kind in Kind)
    assert len(set(Kind)) == len(Kind)
