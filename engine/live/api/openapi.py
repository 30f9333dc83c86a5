"""The OpenAPI document, read off the table of operations and the models."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from engine import __version__
from engine.live.api import models
from engine.live.api.routes import OPERATIONS, Operation

_REF = "#/components/schemas/{model}"


@cache
def document() -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = _schemas_of(models.Error)
    for operation in OPERATIONS:
        for kind in (operation.answer, operation.query, operation.body):
            if kind is not None:
                schemas |= _schemas_of(kind)
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "siptwin", "version": __version__, "license": {"name": "Apache-2.0"}},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "token_in_query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done."}
    if operation.answer is not None:
        success["content"] = {operation.media: {"schema": _schema(operation.answer)}}
    else:
        success["content"] = {operation.media: {"schema": {"type": "string"}}}
    responses = {str(operation.status): success}
    errors = dict(operation.errors)
    if operation.body is not None or operation.query is not None or operation.parts:
        errors[400] = "What was given cannot be used; the text says why."
    if operation.body is not None:
        errors[413], errors[415] = "The body is too long.", "The body is not JSON."
    if not operation.open:
        errors[401] = "The token is missing or wrong."
    for status, text in sorted(errors.items()):
        answer = operation.answer if operation.open else models.Error
        responses[str(status)] = {
            "description": text,
            "content": {"application/json": {"schema": _schema(answer)}},
        }
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "responses": responses,
    }
    if parameters := [*_parts(operation), *_query(operation)]:
        described["parameters"] = parameters
    if operation.body is not None:
        content = {"application/json": {"schema": _schema(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.open:
        described["security"] = []
    elif operation.token_in_query:
        described["security"] = [{"token": []}, {"token_in_query": []}]
    return described


def _parts(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": operation.parts[name]}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]


def _query(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema()
    return [
        {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each}
        for name, each in schema["properties"].items()
    ]


def _schema(kind: Any) -> dict[str, Any]:
    schema = TypeAdapter(kind).json_schema(ref_template=_REF, mode="serialization")
    schema.pop("$defs", None)
    if schema.get("type") == "array":
        return schema
    return {"$ref": _REF.format(model=schema["title"])}


def _schemas_of(kind: Any) -> dict[str, Any]:
    inner = getattr(kind, "__args__", (kind,))[0]
    mode: Any = "validation" if issubclass(inner, models.Given) else "serialization"
    _, defined = models_json_schema([(inner, mode)], ref_template=_REF)
    found: dict[str, Any] = dict(defined["$defs"])
    return found
