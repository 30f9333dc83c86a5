"""Pydantic's findings in the words of the schema: what is wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from topologies.errors import ContradictionError, Path, Problem, RefusedError, did_you_mean, listing
from topologies.source import Source
from topologies.topology import Topology

_EXPECTED = {
    "int": ("a whole number", "write digits, such as 5"),
    "float": ("a number", "write digits, such as 0.5"),
    "string": ("text", "write text, in quotes if need be"),
    "bool": ("a yes or no", "write true or false"),
    "tuple": ("a list", "write [a, b], or a line `- a` for each"),
    "dict": ("a mapping", "write `key: value` lines under it"),
    "model": ("a mapping", "write `key: value` lines under it"),
    "mapping": ("a mapping", "write `key: value` lines under it"),
}
_BOUNDS = {
    "greater_than": ("gt", "too small", "more than"),
    "greater_than_equal": ("ge", "too small", "at least"),
    "less_than": ("lt", "too large", "less than"),
    "less_than_equal": ("le", "too large", "at most"),
}


def problems(error: ValidationError, source: Source) -> Iterator[Problem]:
    """All findings, each with its line."""
    for detail in error.errors(include_url=False):
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ContradictionError):
            for problem in cause.problems:
                yield Problem(problem.where, problem.what, problem.remedy, source.line(problem.where))
            continue
        around = detail["type"] in ("extra_forbidden", "missing")  # what rules there is the section's schema
        where, schema = _locate(detail["loc"], source, stop_above=around)
        what, remedy = (
            (cause.what, cause.remedy) if isinstance(cause, RefusedError) else _words(detail, where, schema)
        )
        yield Problem(where[:-1] if around else where, what, remedy, source.line(where))


def _words(detail: ErrorDetails, where: Path, schema: Mapping[str, Any]) -> tuple[str, str]:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    last = where[-1] if where else ""
    if kind == "extra_forbidden":
        return f"unknown key {last!r}", did_you_mean(str(last), schema.get("properties", {}))
    if kind == "missing":
        if isinstance(last, int):
            return f"item {last + 1} is missing", "add it to the list"
        about = schema.get("properties", {}).get(last, {}).get("description", "")
        return f"{last!r} is missing", f"add `{last}:`" + (f" ({about.rstrip('.')})" if about else "")
    if kind == "literal_error":
        known = [str(choice) for choice in _choices(schema)]
        return f"{_shown(given)} is not known here", did_you_mean(str(given), known)
    if kind == "union_tag_invalid":
        known = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return f"{_shown(context['tag'])} is no kind of fault", did_you_mean(context["tag"], known)
    if kind == "union_tag_not_found":
        tags = listing(schema.get("discriminator", {}).get("mapping", {}), at_most=20)
        return "'kind' is missing", f"add `kind:`, one of {tags}"
    if kind in _BOUNDS:
        bound, size, words = _BOUNDS[kind]
        return f"{_shown(given)} is {size}", f"write {words} {context[bound]:g}"
    if kind in ("too_short", "string_too_short"):
        return "nothing is given", f"give at least {context.get('min_length', 1)}"
    if kind == "too_long":
        return "too much is given", f"give at most {context['max_length']}"
    if kind in ("string_pattern_mismatch", "string_too_long"):
        return f"{_shown(given)} is not a name", "take at most 64 letters, digits, '_', '-' and '.'"
    if kind == "finite_number":
        return f"{_shown(given)} is not a finite number", "write a number"
    expected = _EXPECTED.get(kind.split("_")[0])
    if expected is not None:
        noun, remedy = expected
        return f"{_shown(given)} is not {noun}", remedy
    about = schema.get("description", "")
    return detail["msg"], about or "see the packaged topologies for an example"


def _shown(given: Any) -> str:
    if given is None:
        return "nothing"
    if isinstance(given, dict):
        return "a mapping"
    if isinstance(given, (list, tuple)):
        return "a list"
    text = repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _choices(schema: Mapping[str, Any]) -> list[Any]:
    return schema.get("enum") or ([schema["const"]] if "const" in schema else [])


@cache
def _json_schema() -> dict[str, Any]:
    return Topology.model_json_schema(by_alias=True)


def _locate(loc: Path, source: Source, *, stop_above: bool) -> tuple[Path, Mapping[str, Any]]:
    """The place in the file that pydantic means, and the part of the schema that rules there, or one level above.

    Pydantic puts words of its own between the keys (the tag of a union, ``[key]``); they lead nowhere.
    """
    where: Path = ()
    schema: Mapping[str, Any] = _resolved(_json_schema())
    above = schema
    for part in loc:
        if part == "[key]":
            continue
        tagged = schema.get("discriminator", {}).get("mapping", {}).get(part)
        if tagged is not None and (*where, part) not in source.lines:
            schema = _resolved({"$ref": tagged})
            continue
        where = (*where, part)
        above, schema = schema, _resolved(_child(schema, part) or {})
    return where, above if stop_above else schema


def _child(schema: Mapping[str, Any], part: str | int) -> Mapping[str, Any] | None:
    if isinstance(part, int):
        prefix = schema.get("prefixItems", ())
        child = prefix[part] if part < len(prefix) else schema.get("items")
    else:
        others = schema.get("additionalProperties") or next(
            iter(schema.get("patternProperties", {}).values()), None
        )
        child = schema.get("properties", {}).get(part, others)
    return child if isinstance(child, Mapping) else None


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and pass through `or null`."""
    while True:
        if "$ref" in schema:
            schema = _json_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
        elif real := [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]:
            schema = real[0]
        else:
            return schema
