"""Messages of the contract filled at random, with values that break things more often than others; and broken bytes."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

WILD_COLLECTIONS = ("empty", "nobody", "", "a/b", "x" * 300)
TEXTS = ("n", "k", "a[].b", "k1", "d")
WILD_TEXTS = ("", "a.b", "a[]", "a[0]", "$score", "$score[1]", "s", "m", "[", "a..b", "é" * 40, "\0")
UUID = "43cf51e2-8777-4f52-bc74-c2cbde0c8b04"
WILD_UUIDS = ("{", "0x1", f"urn:uuid:{UUID}", "")
WILD_INTEGERS = (
    0,
    1,
    2,
    3,
    10,
    100,
    255,
    1000,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**53,
    2**61,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -1,
)
WILD_FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-40, 3e38, 1e19, 1e300, float("inf"), float("-inf"), float("nan"))
NEEDED = frozenset({"collection_name", "id", "points", "vectors", "key", "limit", "group_by", "group_size", "data"})
"""Without these, nearly every message is refused for what it lacks."""
DEPTH_MAX = 9
REPEATED_MAX = 4


class Chance(Random):
    """``wild`` is the share of values that are not what a sensible client would send."""

    wild = 0.1


def fill(chance: Chance, message: Message, depth: int = 0) -> Message:
    """Sets some fields; returns the message."""
    share = 0.55 if depth < 2 else 0.35
    oneofs: Sequence[Any] = message.DESCRIPTOR.oneofs
    chosen = {chance.choice(one.fields).name for one in oneofs if chance.random() >= chance.wild}
    for field in message.DESCRIPTOR.fields:
        alone = field.containing_oneof is None or len(field.containing_oneof.fields) == 1
        wanted = chance.random() < share if alone else field.name in chosen
        if wanted or (field.name in NEEDED and chance.random() >= chance.wild):
            _set(chance, message, field, depth)
    return message


def _set(chance: Chance, message: Message, field: Any, depth: int) -> None:
    kind, nested = field.message_type, field.message_type is not None
    if nested and depth >= DEPTH_MAX:
        return
    if kind is not None and kind.GetOptions().map_entry:
        _fill_map(chance, getattr(message, field.name), kind, depth)
    elif field.is_repeated:
        target = getattr(message, field.name)
        count = 3 if field.name == "data" and chance.random() < 0.8 else chance.randrange(REPEATED_MAX)
        for _ in range(count):
            if nested:
                fill(chance, target.add(), depth + 1)
            else:
                target.append(_value(chance, field))
    elif nested:
        part = getattr(message, field.name)
        part.SetInParent()
        fill(chance, part, depth + 1)
    else:
        setattr(message, field.name, _value(chance, field))


def _fill_map(chance: Chance, target: Any, entry: Descriptor, depth: int) -> None:
    key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for _ in range(chance.randrange(REPEATED_MAX)):
        name = _value(chance, key)
        if value.message_type is not None:
            fill(chance, target[name], depth + 1)
        else:
            target[name] = _value(chance, value)


_BOUNDS = {
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
}


def _value(chance: Chance, field: FieldDescriptor) -> Any:
    wild = chance.random() < chance.wild
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return _text(chance, field.name, wild=wild)
        case FieldDescriptor.TYPE_BOOL:
            return chance.random() < 0.5
        case FieldDescriptor.TYPE_FLOAT | FieldDescriptor.TYPE_DOUBLE:
            return chance.choice(WILD_FLOATS) if wild else round(chance.random(), 2)
        case FieldDescriptor.TYPE_ENUM:
            assert field.enum_type is not None
            return 77 if wild else chance.choice([value.number for value in field.enum_type.values])
        case _:
            low, high = _BOUNDS[field.type]
            number = chance.choice(WILD_INTEGERS) if wild else 1 + chance.randrange(12)
            return min(max(number, low), high)


def _text(chance: Chance, name: str, *, wild: bool) -> str:
    if "collection" in name or "alias" in name:
        return chance.choice(WILD_COLLECTIONS) if wild else chance.choice(("points", "alias"))
    if name == "uuid":
        return chance.choice(WILD_UUIDS) if wild else UUID
    if name == "datetime":
        return "never" if wild else "2020-01-01T00:00:00Z"
    if name in ("using", "vector_name") and not wild:
        return chance.choice(("", "d", "s", "m"))
    return chance.choice(WILD_TEXTS if wild else TEXTS)


def _flip(chance: Chance, encoded: bytearray) -> None:
    encoded[chance.randrange(len(encoded))] ^= 1 << chance.randrange(8)


def _cut(chance: Chance, encoded: bytearray) -> None:
    del encoded[chance.randrange(len(encoded)) :]


def _repeat(chance: Chance, encoded: bytearray) -> None:
    start = chance.randrange(len(encoded))
    encoded[start:start] = encoded[start : start + chance.randrange(1, 30)]


def _overwrite(chance: Chance, encoded: bytearray) -> None:
    start = chance.randrange(len(encoded))
    encoded[start : start + 4] = chance.randbytes(4)


_MUTATIONS: Sequence[Callable[[Chance, bytearray], None]] = (_flip, _flip, _cut, _repeat, _overwrite)


def mutated(chance: Chance, encoded: bytes) -> bytes:
    """The bytes with a few changes, most often none."""
    changed = bytearray(encoded)
    for _ in range(chance.choice((0, 0, 0, 0, 0, 1, 2, 5))):
        if changed:
            chance.choice(_MUTATIONS)(chance, changed)
    return bytes(changed)
