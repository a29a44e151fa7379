"""Parts of a collection's settings: graph, optimizers, log, quantization, strict mode, placement.

Members of the objects and fields of ``values.schema`` have the same names, and enums Qdrant's spellings as values, so
that ``record`` reads a class by its annotations.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields as fields_of
from enum import Enum
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

from qdrantlite.values.payload import Json
from qdrantlite.values.schema import (
    BinaryQuantization,
    HnswConfig,
    Memory,
    OptimizationThreads,
    OptimizersConfig,
    ProductQuantization,
    Quantization,
    QuantizationDisabled,
    ScalarQuantization,
    StrictMode,
    TurboQuantization,
    WalConfig,
)
from qdrantlite.wire.bounds import at_least
from qdrantlite.wire.checked import settings as checked
from qdrantlite.wire.rest.reading import Fields, Misread, choice, count, fields, flag, inside, number, text

T = TypeVar("T")


class _ScalarType(Enum):
    INT8 = "int8"


class Comparator(Enum):
    """How multivectors are compared."""

    MAX_SIM = "max_sim"


_scalar_type, _threads = choice(_ScalarType), choice(OptimizationThreads)
comparator, memory = choice(Comparator), choice(Memory)


def _max_threads(value: Json) -> int | OptimizationThreads:
    return _threads(value) if isinstance(value, str) else count(value)


def _limits(member: str) -> Callable[[Json], Mapping[str, int | None]]:
    """An object from vectors' names to objects with one limit each."""

    def read(value: Json) -> Mapping[str, int | None]:
        named = fields(value)
        return {name: named.needed(name, fields).count(member) for name in sorted(named.raw())}

    return read


_SPECIAL: Mapping[str, Callable[[Json], object]] = {
    "max_optimization_threads": _max_threads,
    "multivector_config": _limits("max_vectors"),
    "sparse_config": _limits("max_length"),
}


@cache
def _readers(kind: type, names: tuple[str, ...]) -> Mapping[str, Callable[[Json], object]]:
    hints = get_type_hints(kind)
    return {name: _SPECIAL.get(name) or _reader(hints[name]) for name in names}


def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields_of(kind))


def _reader(hint: Any) -> Callable[[Json], object]:
    """What reads a type, or the first of ``type | None``."""
    (kind, *_) = get_args(hint) or (hint,)
    if issubclass(kind, Enum):
        return choice(kind)
    return {int: count, float: number, bool: flag, str: text}[kind]


def given(kind: type, members: Fields, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the named fields of a dataclass that are there: plain values, enums and the few special ones."""
    return {name: members.read(name, read) for name, read in _readers(kind, names).items() if members.has(name)}


def record(kind: type[T], members: Fields) -> T:
    """A dataclass made of the members that are there. Raises Misread."""
    return kind(**given(kind, members, _names(kind)))


def hnsw(members: Fields) -> HnswConfig:
    """Raises InvalidRequest."""
    settings = checked.hnsw(record(HnswConfig, members))
    if settings.full_scan_threshold is not None:
        at_least("full_scan_threshold", settings.full_scan_threshold, 10)  # A bound of Qdrant's REST alone.
    return settings


def optimizers(members: Fields) -> OptimizersConfig:
    """Raises InvalidRequest."""
    return checked.optimizers(record(OptimizersConfig, members))


def wal(members: Fields) -> WalConfig:
    """Raises InvalidRequest."""
    return checked.wal(record(WalConfig, members))


def strict_mode(members: Fields) -> StrictMode:
    """Raises InvalidRequest."""
    return checked.strict_mode(record(StrictMode, members))


def quantization(value: Json) -> Quantization:
    """An object with one member, the kind. Raises InvalidRequest."""
    members = fields(value)
    for name, decode in _QUANTIZATIONS.items():
        if members.has(name):
            return inside(name, decode, members.raw()[name])
    raise Misread("data did not match any variant of untagged enum QuantizationConfig")


def quantization_change(value: Json) -> Quantization | QuantizationDisabled:
    """A new quantization, or the text that takes it away. Raises InvalidRequest."""
    if value == "Disabled":
        return QuantizationDisabled()
    if isinstance(value, str):
        raise Misread("data did not match any variant of untagged enum QuantizationConfigDiff")
    return quantization(value)


def _scalar(value: Json) -> Quantization:
    members = fields(value)
    members.needed("type", _scalar_type)
    return checked.scalar_quantization(record(ScalarQuantization, members))


def _product(value: Json) -> Quantization:
    members = fields(value)
    members.needed("compression", lambda given: given)
    return record(ProductQuantization, members)


_QUANTIZATIONS: Mapping[str, Callable[[Json], Quantization]] = {
    "scalar": _scalar,
    "product": _product,
    "binary": lambda value: record(BinaryQuantization, fields(value)),
    "turbo": lambda value: record(TurboQuantization, fields(value)),
}
