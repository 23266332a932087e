"""Writes docs/result.schema.json, the JSON schema of ``--json``: ``python tools/result_schema.py``.

With ``--check`` it writes nothing and exits with 1 if the file is not current.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from config_reference import attribute_docs
from generated import write_or_check
from pydantic import BaseModel

from awml_deploy_core.reporting.result import SCHEMA_VERSION, Report

TARGET = Path(__file__).resolve().parents[1] / "docs" / "result.schema.json"

ABOUT = (
    "Result of a command of awml-deploy, as --json writes it. Keys without a value are left out. "
    f"This is version {SCHEMA_VERSION} (key schema_version): it grows when a key goes away or changes its "
    "meaning; keys may be added without."
)


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that an annotation leads to, with those inside it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def render() -> str:
    """The schema with the meaning of every key that the code says."""
    schema = Report.model_json_schema(mode="serialization")
    definitions = schema["$defs"]
    for model in {model.__name__: model for model in models(Report)}.values():
        # What a class inherits is said where it is inherited from.
        definition = schema if model is Report else definitions.get(model.__name__)
        if definition is None:
            continue
        for name, text in attribute_docs(model).items():
            if name in definition["properties"]:
                definition["properties"][name]["description"] = text
        if description := definition.get("description"):
            definition["description"] = " ".join(description.replace("``", "`").split())
        # --json leaves out keys without a value.
        definition["required"] = [name for name, field in model.model_fields.items() if field.is_required()]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "description": ABOUT}
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check(Path(__file__).name, render, TARGET))
