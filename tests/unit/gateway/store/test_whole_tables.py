"""Statements about whole tables take names of ours and nothing else."""

import pytest

from gateway.store.whole_tables import about


def test_names_and_places_stand_where_they_belong() -> None:
    """As many places as columns."""
    said = about("read_all", "steps", ["run_id", "path"], ["path"])
    assert "SELECT run_id, path FROM steps ORDER BY path;" in said
    assert "(run_id, path) OVERRIDING SYSTEM VALUE VALUES ($1, $2)" in about(
        "insert_row", "steps", ["run_id", "path"]
    )


@pytest.mark.parametrize("name", ["steps; DROP TABLE runs", "Steps", "", "a-b", "steps\n"])
def test_what_is_no_name_of_ours_is_refused(name: str) -> None:
    """Wherever it stands."""
    with pytest.raises(ValueError, match="no names of tables"):
        about("count_all", name)
    with pytest.raises(ValueError, match="no names of tables"):
        about("read_all", "steps", [name], ["path"])
