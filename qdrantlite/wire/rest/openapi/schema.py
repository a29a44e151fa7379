"""JSON Schemas in few words. All are plain values; ``SCHEMAS`` tables of the other modules hold them by name."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]
Schemas: TypeAlias = Mapping[str, Schema]

U64_MAX = 2**64 - 1
U32_MAX = 2**32 - 1

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
FLOAT: Schema = {"type": "number", "format": "float"}
COUNT: Schema = {"type": "integer", "format": "uint64", "minimum": 0, "maximum": U64_MAX}
SMALL_COUNT: Schema = {"type": "integer", "format": "uint32", "minimum": 0, "maximum": U32_MAX}
INTEGER: Schema = {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
ANYTHING: Schema = {}
OBJECT: Schema = {"type": "object"}
NULL: Schema = {"type": "null"}


def ref(name: str) -> Schema:
    """A schema by its name; ``X[]`` is a list of X."""
    if name.endswith("[]"):
        return array(ref(name.removesuffix("[]")))
    plain = {"boolean": FLAG, "text": TEXT, "html": TEXT, "object": OBJECT}
    return plain.get(name, {"$ref": f"#/components/schemas/{name}"})


def array(of: Schema, *, least: int | None = None) -> Schema:
    """A list."""
    schema: Schema = {"type": "array", "items": of}
    return schema if least is None else {**schema, "minItems": least}


def table(of: Schema) -> Schema:
    """An object from any names to values of one kind."""
    return {"type": "object", "additionalProperties": of}


def one(*choices: Schema) -> Schema:
    """Any of several forms."""
    return {"anyOf": list(choices)}


def maybe(of: Schema) -> Schema:
    """Null, or that."""
    return one(of, NULL)


def some(of: Schema) -> Schema:
    """One, or a list of them."""
    return one(of, array(of))


def words(*spelled: str) -> Schema:
    """One of a few texts."""
    return {"type": "string", "enum": list(spelled)}


def at_least(minimum: float, of: Schema = COUNT) -> Schema:
    """A number with a lower bound."""
    return {**of, "minimum": minimum}


def within(minimum: float, maximum: float, of: Schema = FLOAT) -> Schema:
    """A number between two bounds."""
    return {**of, "minimum": minimum, "maximum": maximum}


def needs(required: Schemas, optional: Schemas | None = None, *, closed: bool = False, about: str = "") -> Schema:
    """An object. Optional members may be null; a ``closed`` one has no others."""
    properties = {**required, **{name: maybe(of) for name, of in (optional or {}).items()}}
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = list(required)
    if closed:
        schema["additionalProperties"] = False
    return {"description": about, **schema} if about else schema


def gives(always: Schemas, sometimes: Schemas | None = None, *, about: str = "") -> Schema:
    """An object of an answer: members that are always there, and members that may be left out."""
    schema: Schema = {
        "type": "object",
        "properties": {**always, **(sometimes or {})},
        "required": list(always),
    }
    return {"description": about, **schema} if about else schema


def tagged(name: str, of: Schema, *, about: str = "") -> Schema:
    """An object told by one member."""
    return needs({name: of}, about=about)
