"""JSON form of a collection's settings, as the catalogue keeps them.

Grammar: one object per dataclass of ``schema.py``, field names as keys, enums by value, fields equal to their default
left out. A union of dataclasses (quantization) carries the class name under ``"class"``. Unknown keys are refused:
they come from a newer version.
"""

import dataclasses
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from qdrantlite.errors import Corrupted
from qdrantlite.values import schema
from qdrantlite.values.schema import CollectionConfig, FieldIndex, QuantizationDisabled

T = TypeVar("T")
KIND = "class"


def config_to_json(config: CollectionConfig) -> str:
    """Settings as JSON text."""
    return orjson.dumps(_encode(config)).decode()


def config_from_json(text: str) -> CollectionConfig:
    """Settings from JSON text. Raises Corrupted."""
    return _decoded(CollectionConfig, text)


def fields_to_json(fields: Mapping[str, FieldIndex]) -> bytes:
    """A payload schema as JSON bytes."""
    return orjson.dumps({key: _encode(index) for key, index in fields.items()})


def fields_from_json(text: bytes) -> dict[str, FieldIndex]:
    """A payload schema from JSON bytes; empty bytes are an empty schema. Raises Corrupted."""
    if not text:
        return {}
    return {key: _decoded(FieldIndex, orjson.dumps(value)) for key, value in orjson.loads(text).items()}


def _decoded(kind: type[T], text: str | bytes) -> T:
    try:
        decoded = _decode(kind, orjson.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as reason:
        raise Corrupted("settings cannot be read", detail=str(reason)) from reason
    assert isinstance(decoded, kind)
    return decoded


def _encode(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        given = {
            field.name: _encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.name == "metadata" or getattr(value, field.name) != _default(field)
        }
        return {KIND: type(value).__name__, **given} if isinstance(value, _QUANTIZATIONS) else given
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_encode(item) for item in value]
    return value


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


_QUANTIZATIONS = (
    schema.ScalarQuantization,
    schema.ProductQuantization,
    schema.BinaryQuantization,
    schema.TurboQuantization,
)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _decode(hint: Any, value: Any) -> Any:
    if value is None or hint is Any:
        return value
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(hint), value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        item = get_args(hint)[1]
        return {key: _decode(item, entry) for key, entry in value.items()} if _is_record(item) else value
    if origin is tuple:
        return tuple(_decode(get_args(hint)[0], entry) for entry in value)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        hints = _hints(hint)
        return hint(**{key: _decode(hints[key], entry) for key, entry in value.items() if key != KIND})
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    return value


def _is_record(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _decode_union(options: tuple[Any, ...], value: Any) -> Any:
    records = [option for option in options if _is_record(option)]
    if isinstance(value, dict) and records:
        named = [option for option in records if option.__name__ == value.get(KIND)]
        return _decode((named or records)[0], value)
    enums = [option for option in options if isinstance(option, type) and issubclass(option, Enum)]
    if isinstance(value, str) and enums:
        return enums[0](value)
    return value


assert not dataclasses.is_dataclass(QuantizationDisabled), "only settings are written, never changes to them"
