"""The protocol's own description: whole, consistent, and made of what validates."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from gateway.core.errors import TABLE
from gateway.events.kinds import Kind
from gateway.rpc.catalog import METHODS
from gateway.rpc.method import Method
from gateway.rpc.openrpc import Document, describe_class, errors_of
from gateway.wire import jsonrpc

DOCUMENT: dict[str, Any] = json.loads(json.dumps(Document(METHODS, "1.2.3").document))
DESCRIBED: dict[str, dict[str, Any]] = {method["name"]: method for method in DOCUMENT["methods"]}
PAGE = (Path(__file__).parents[4] / "docs" / "protocol.md").read_text("utf-8")


def references(value: Any) -> Iterator[str]:
    """Every `$ref` within."""
    match value:
        case dict():
            for name, inner in value.items():
                if name == "$ref":
                    yield inner
                yield from references(inner)
        case list():
            for inner in value:
                yield from references(inner)


def whole(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with everything it refers to."""
    return {**schema, "components": DOCUMENT["components"]}


def test_the_document_has_its_parts() -> None:
    """As OpenRPC demands them."""
    assert DOCUMENT["openrpc"].startswith("1.")
    assert DOCUMENT["info"]["title"] == "turngate"
    assert DOCUMENT["info"]["version"] == "1.2.3"
    names = [method["name"] for method in DOCUMENT["methods"]]
    assert names == sorted(method.name for method in METHODS)
    for method in DOCUMENT["methods"]:
        assert {"name", "params", "result", "summary", "errors", "examples"} <= method.keys()
        assert {"name", "schema"} <= method["result"].keys()


def test_required_parameters_come_first() -> None:
    """Or positional ones could not be told."""
    for method in DOCUMENT["methods"]:
        required = [param["required"] for param in method["params"]]
        assert required == sorted(required, reverse=True), method["name"]
        names = [param["name"] for param in method["params"]]
        assert len(names) == len(set(names))


def test_every_reference_leads_somewhere() -> None:
    """And nothing stands under components that nobody refers to."""
    found = set(references(DOCUMENT))
    schemas = DOCUMENT["components"]["schemas"]
    assert found == {f"#/components/schemas/{name}" for name in schemas}


def test_every_schema_is_one() -> None:
    """By the meta-schema of JSON Schema."""
    meta = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA)
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas
    assert [name for name, schema in schemas.items() if not meta.is_valid(schema)] == []


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_an_example_fits_its_schemas(method: Method[Any]) -> None:
    """The parameters one by one, and the result; a partial one in its parts."""
    described = DESCRIBED[method.name]
    (example,) = described["examples"]
    schemas = {param["name"]: param["schema"] for param in described["params"]}
    said = [(schemas[param["name"]], param["value"]) for param in example["params"]]
    said.append((described["result"]["schema"], example["result"]["value"]))
    for schema, value in said:
        assert [*jsonschema.Draft202012Validator(whole(schema)).iter_errors(value)] == []


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_errors_are_those_of_the_table(method: Method[Any]) -> None:
    """Each once, with its number and kind."""
    rows = {row.kind: row for row in TABLE.values()}
    told = DESCRIBED[method.name]["errors"]
    kinds = [error["data"]["kind"] for error in told]
    assert len(kinds) == len(set(kinds))
    for error in told:
        row = rows[error["data"]["kind"]]
        assert (error["code"], error["data"]["retryable"]) == (row.code, row.retryable)
        assert error["message"]


def test_the_page_has_every_method_with_its_example() -> None:
    """Parameters, errors and a call that can be typed."""
    for method in METHODS:
        assert f"\n### `{method.name}`\n" in PAGE
        for name in method.params.model_fields:
            assert f"| `{name}` |" in PAGE
        for error in errors_of(method):
            assert f"`{describe_class(error).kind}`" in PAGE
        request = {"jsonrpc": "2.0", "id": 1, "method": method.name}
        assert json.dumps({**request, "params": method.example.params}) in PAGE
    for row in jsonrpc.PROTOCOL_ROWS:
        assert f"`{row.kind}` ({row.code})" in PAGE


def test_the_page_tells_every_kind_of_event() -> None:
    """With what is in its data."""
    assert all(kind.meaning.endswith(".") for kind in Kind)
    for kind in Kind:
        assert f"| `{kind}` |" in PAGE


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    """No two headings share a place."""
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = [
        "".join(char for char in title.lower() if char.isalnum() or char in "-_ ").replace(" ", "-")
        for title in headings
    ]
    assert len(anchors) == len(set(anchors))
    linked = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert linked <= set(anchors)


def test_tables_are_whole() -> None:
    """A bar within a cell would be a column more."""
    rows = 0
    columns = 0
    for line in PAGE.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            columns = columns or cells
            assert cells == columns, line
            rows += 1
        else:
            columns = 0
    assert rows > 200
