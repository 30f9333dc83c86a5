"""YAML text as plain values, with the line of each: PyYAML's parser, and a stricter reading of its tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from topologies.errors import Path, Problem

MOST_BYTES = 1_000_000
MOST_DEPTH = 40
MOST_VALUES = 100_000  # aliases can make a short file endless ("billion laughs")

# The core schema of YAML 1.2, less its octal and its signs: `no` and `0123` and `+49301234` are text, as typed.
_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?|\.[0-9]+")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MERGE = "tag:yaml.org,2002:merge"
# PyYAML sees dates, `=` and `<<` in plain text as well; as values they are just text here.
_KINDS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "value", "merge")
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)


@dataclass(slots=True)
class Source:
    """What a file says, and where it says it."""

    value: Any = None
    problems: list[Problem] = field(default_factory=list)
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, where: Path) -> int:
        """The line of a value, or of the nearest one around it that the file holds."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)


class _UnreadableError(Exception):
    """The text cannot be read any further."""

    def __init__(self, line: int, what: str, remedy: str) -> None:
        super().__init__(what)
        self.problem = Problem((), what, remedy, line)


class _Composer(yaml.SafeLoader):
    """PyYAML's composer, bounded in depth: it recurses once a level."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise _UnreadableError(
                self.line + 1, "the file is nested too deeply", "check its indentation and brackets"
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def read(data: bytes) -> Source:
    """Parse a file's bytes; never raises, all that is wrong is in ``problems``."""
    source = Source()
    try:
        root = _compose(_text(data))
        if root is None:
            raise _UnreadableError(
                1, "the file is empty", "begin with `edges:`; single.yaml is the smallest topology"
            )
        reader = _Reader(source)
        source.value = reader.value(root, ())
    except _UnreadableError as stop:
        source.problems.append(stop.problem)
    return source


def _text(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        raise _UnreadableError(
            1, f"the file is longer than {MOST_BYTES} bytes", "this is hardly a topology, check its name"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _UnreadableError(
            line, f"byte {data[error.start]:#04x} is not UTF-8 text", "save the file as UTF-8"
        ) from None
    if odd := yaml.SafeLoader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise _UnreadableError(
            line, f"character {odd[0]!a} is not text", "remove it; a topology is a YAML text file"
        ) from None
    return text


def _compose(text: str) -> yaml.Node | None:
    loader = _Composer(text)
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "this is not YAML"
        if what.startswith("but ") and error.context:
            what = f"{error.context}, {what}"
        raise _UnreadableError(mark.line + 1 if mark else 1, what, _remedy(text, mark, what)) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # An escape beyond Unicode, "\UFFFFFFFF", is a bare ValueError or OverflowError of chr().
        raise _UnreadableError(loader.line + 1, f"this is not YAML ({error})", "mend or quote the text") from None
    finally:
        loader.dispose()


def _remedy(text: str, mark: yaml.Mark | None, what: str) -> str:
    if mark is not None and "\t" in (text.split("\n")[mark.line : mark.line + 1] or [""])[0]:
        return "indent with spaces, YAML allows no tabs there"
    if "single document" in what:
        return "keep one topology in a file, without `---` in its middle"
    if "mapping values" in what:
        return "quote the text that holds a colon, or check the indentation"
    if "undefined alias" in what:
        return "define it with & above, or quote the text that begins with *"
    return "check the indentation, the brackets and the quotes of this line and the one above"


class _Reader:
    """Turns YAML's tree into plain values and notes the line of each."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._count = 0
        self._merges = 0

    def value(self, node: yaml.Node, where: Path) -> Any:
        self._count += 1
        if self._count > MOST_VALUES or len(where) + self._merges > MOST_DEPTH:
            raise _UnreadableError(
                _line(node), "the file unfolds into too much", "use fewer * aliases, and none within itself"
            )
        self._source.lines.setdefault(where, _line(node))
        if node.tag not in _TAGS:
            self._wrong(node, where, f"the tag {node.tag} means nothing here", "remove it")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*where, position)) for position, item in enumerate(node.value)]
        return self._scalar(node, where)

    def _mapping(self, node: yaml.MappingNode, where: Path) -> dict[str, Any]:
        merged = self._merged(node, where)  # first, so that the mapping's own keys set the lines
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_node, where, "a key is not plain text", "write key: value")
                continue
            key = key_node.value
            here = (*where, key)
            if key in values:
                first = self._source.lines[here]
                self._wrong(
                    key_node, where, f"{key!r} is given twice, first in line {first}", "keep one of the two"
                )
                continue
            self._source.lines[here] = _line(key_node)
            values[key] = self.value(value_node, here)
        return {**merged, **values}

    def _merged(self, node: yaml.MappingNode, where: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        self._merges += 1
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for mapping in _mappings(value_node):
                    merged = {**self.value(mapping, where), **merged}  # the first one named wins
        self._merges -= 1
        return merged

    def _scalar(self, node: yaml.Node, where: Path) -> Any:
        text: str = node.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._wrong(
                node, where, "half of a surrogate pair is not text", r"write the character, or \U and 8 digits"
            )
            return ""
        if node.tag == "tag:yaml.org,2002:str" or (isinstance(node, yaml.ScalarNode) and node.style):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _wrong(self, node: yaml.Node, where: Path, what: str, remedy: str) -> None:
        self._source.problems.append(Problem(where, what, remedy, _line(node)))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    for inner in node.value if isinstance(node, yaml.SequenceNode) else [node]:
        if not isinstance(inner, yaml.MappingNode):
            raise _UnreadableError(
                _line(node), "<< merges something that is not a mapping", "write `<<: *name` of a mapping"
            )
        yield inner
