"""What all parts of the schema are made of."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, core_schema

from topologies.errors import RefusedError

V = TypeVar("V", covariant=True)


class Section(BaseModel):
    """A part of a topology: frozen, and an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        coerce_numbers_to_str=True,  # `to: 9196` and `password: 1234` mean text
        populate_by_name=True,
    )


class Table(Mapping[str, V]):
    """A mapping that cannot be changed, and unlike ``MappingProxyType`` can be pickled to a worker process."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, V] | None = None) -> None:
        self._items = dict(items or {})

    def __getitem__(self, key: str) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (value,) = get_args(source) or (Any,)
        plain = handler.generate_schema(dict[_name(value), value])  # type: ignore[misc]  # built at run time
        return core_schema.no_info_before_validator_function(
            lambda given: dict(given) if isinstance(given, Table) else given,
            core_schema.no_info_after_validator_function(cls, plain),
            serialization=core_schema.wrap_serializer_function_ser_schema(
                lambda table, inner: inner(dict(table)), schema=plain
            ),
        )


def _name(value: Any) -> Any:
    """The type of a table's keys: names of places and scenarios, or free text where the values are free."""
    return str if value is Any else Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$", max_length=64)]


def default_of(settings: type, name: str) -> Any:
    """The default that a settings dataclass of the engine gives to a field, so that it is written once, there."""
    for field in fields(settings):
        if field.name == name and field.default is not MISSING:
            return field.default
    raise LookupError(f"{settings.__name__}.{name} has no plain default")


class Mirror:
    """Lets a section *be* a settings dataclass of the engine: its fields, types and defaults are taken from there.

    Used as ``Annotated[TimersConfig, Mirror(t1_s=Field(gt=0, description="..."), ...)]``. What the engine's class
    cannot say - bounds, descriptions - is given here; a test sees to it that every field is described.
    """

    def __init__(self, **described: Any) -> None:
        self.described: dict[str, FieldInfo] = described

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        known = {field.name: field for field in fields(source)}
        types = get_type_hints(source)
        model: type[Section] = create_model(  # type: ignore[call-overload]  # fields are known at run time only
            source.__name__,
            __base__=Section,
            __doc__=(source.__doc__ or "").strip(),
            **{
                name: (Annotated[types[name], self.described.get(name, Field())], _default(known[name]))
                for name in known
            },
        )

        def to_engine(section: Any) -> Any:
            values = {name: getattr(section, name) for name in known}
            return source(**{name: Table(v) if isinstance(v, Mapping) else v for name, v in values.items()})

        def to_plain(settings: Any, info: core_schema.SerializationInfo) -> dict[str, Any]:
            values = _values(settings)
            if info.exclude_defaults:
                values = {name: value for name, value in values.items() if value != _default(known[name])}
            return {name: dict(v) if isinstance(v, Mapping) else v for name, v in values.items()}

        return core_schema.no_info_before_validator_function(
            lambda given: _values(given) if isinstance(given, source) else given,
            core_schema.no_info_after_validator_function(to_engine, handler.generate_schema(model)),
            serialization=core_schema.plain_serializer_function_ser_schema(to_plain, info_arg=True),
        )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return dict(field.default_factory())
    return ... if field.default is MISSING else field.default  # pydantic's word for: must be given


def _values(settings: Any) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in fields(settings)}


def _ip_literal(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise RefusedError(
            f"{host!r} is not an IP address", "write a literal such as 127.0.0.1, names are not bound"
        ) from None
    return bare


def _host(host: str) -> str:
    bare = host.removeprefix("[").removesuffix("]")
    if len(bare) > 253 or re.fullmatch(r"[A-Za-z0-9._:-]+", bare) is None:
        raise RefusedError(f"{host!r} is not a host", "write an IP address or a DNS name")
    return bare


def _origin(origin: str) -> str:
    # RFC 6454 §6.2, as browsers write it: no path, no default port, lower case
    if re.fullmatch(r"null|[a-z][a-z0-9+.-]*://(?:[a-z0-9.-]+|\[[0-9a-f:.]+])(?::\d+)?", origin.lower()) is None:
        raise RefusedError(
            f"{origin!r} is not an origin", "write scheme://host or scheme://host:port, nothing more"
        )
    return origin.lower()


def _sip_user(user: str) -> str:
    # RFC 3261 §25.1: user = 1*( unreserved / escaped / user-unreserved )
    if re.fullmatch(r"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+", user) is None:
        raise RefusedError(f"{user!r} is no user part of a SIP URI", "write a number or a name, such as 9196")
    return user


SipUser = Annotated[str, AfterValidator(_sip_user)]
IpAddress = Annotated[str, AfterValidator(_ip_literal)]
Host = Annotated[str, AfterValidator(_host)]
Origin = Annotated[str, AfterValidator(_origin)]
BoundPort = Annotated[int, Field(ge=0, le=65535)]
Port = Annotated[int, Field(ge=1, le=65535)]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


def pairs(text: str, *, remedy: str) -> dict[str, str]:
    """``a=1;b=2`` as a mapping, in the manner of OpenSIPS' load_balancer table."""
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, equals, value = part.partition("=")
        if not equals or not name.strip():
            raise RefusedError(f"{part!r} is not name=number", remedy)
        if name.strip() in found:
            raise RefusedError(f"{name.strip()!r} is given twice", "keep one of the two")
        found[name.strip()] = value.strip()
    return found
