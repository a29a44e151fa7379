"""Payloads: JSON objects whose integers and floats stay apart, and the paths that reach into them.

Grammar of a path (Qdrant's): ``key(.key | [n] | [])*`` with ``key`` = letters, digits, ``_``, ``-`` or a
double-quoted string. A plain ``.key`` never descends through an array; ``[]`` means every element, ``[n]`` one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Final, TypeAlias

from qdrantlite.errors import BadInput, MalformedRequest
from qdrantlite.values.letters import letter_class

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Payload: TypeAlias = dict[str, Json]


class EveryElement:
    """The ``[]`` step of a path; one instance, ``EVERY``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[]"


EVERY = EveryElement()

DEPTH_MAX = 31
"""How deep arrays and objects may nest below a payload: what every client can read. Protobuf reads messages that nest
100 deep, of which an object takes three, and an answer in groups, the deepest, four.
"""

_CONTAINERS: Final = frozenset((dict, list))

Step: TypeAlias = str | int | EveryElement
Path: TypeAlias = tuple[Step, ...]

REMEMBERED_LENGTH_MAX = 256
"""Longer paths are parsed each time they come, so that what is remembered stays small."""

_KEY = r'[%s-]+|"([^"\\]*)"'
_KEY_ASCII = re.compile(_KEY % r"\w", re.ASCII)
_INDEX = re.compile(r"\[([0-9]*)\]")


@cache
def _key_of_any_script() -> re.Pattern[str]:
    return re.compile(_KEY % letter_class())


def parse_path(text: str) -> Path:
    """Steps of a path, e.g. ``a."b.c"[].d`` → ``("a", "b.c", EVERY, "d")``. Raises MalformedRequest."""
    return _parse_short_path(text) if len(text) <= REMEMBERED_LENGTH_MAX else _parse_path(text)


@lru_cache(maxsize=4096)
def _parse_short_path(text: str) -> Path:
    return _parse_path(text)


def _parse_path(text: str) -> Path:
    steps: list[Step] = []
    key = _KEY_ASCII if text.isascii() else _key_of_any_script()
    position = 0
    expect_key = True
    while position < len(text):
        if expect_key:
            found = key.match(text, position)
            if found is None:
                break
            steps.append(found.group(1) if found.group(1) is not None else found.group(0))
            expect_key = False
        elif text[position] == ".":
            position += 1
            expect_key = True
            continue
        else:
            found = _INDEX.match(text, position)
            if found is None:
                break
            steps.append(int(found.group(1)) if found.group(1) else EVERY)
        position = found.end()
    if expect_key or position < len(text):
        raise MalformedRequest(f"Invalid json path: '{text}'")
    return tuple(steps)


def spelled(text: str) -> str:
    """The spelling that a path shares with all that mean the same, as Qdrant shows it: no key is quoted in vain, and
    ``"a"."b c"[07]`` is ``a."b c"[7]``. Raises MalformedRequest.
    """
    path = parse_path(text)
    if '"' not in text and "[0" not in text:
        return text
    return "".join(_spelled_step(step) for step in path).removeprefix(".")


def _spelled_step(step: Step) -> str:
    match step:
        case str():
            key = _KEY_ASCII if step.isascii() else _key_of_any_script()
            return f".{step}" if key.fullmatch(step) else f'."{step}"'
        case int():
            return f"[{step}]"
        case EveryElement():
            return "[]"


def values_at(value: Json, path: Path) -> Iterator[Json]:
    """Every value the path reaches, in document order; nothing when the path leads nowhere."""
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield from values_at(value[step], rest)
    elif isinstance(value, list):
        if isinstance(step, EveryElement):
            for element in value:
                yield from values_at(element, rest)
        elif step < len(value):
            yield from values_at(value[step], rest)


def elements_at(payload: Mapping[str, Json], path: Path) -> list[Json]:
    """What a condition tests: each value reached, with a final array opened by one level."""
    if len(path) == 1 and isinstance(path[0], str):
        if path[0] not in payload:
            return []
        value = payload[path[0]]
        return value if isinstance(value, list) else [value]
    found: list[Json] = []
    for value in values_at(dict(payload), path):
        if isinstance(value, list):
            found.extend(value)
        else:
            found.append(value)
    return found


def elements_of(payloads: Sequence[Mapping[str, Json]], path: Path) -> list[list[Json]]:
    """``elements_at`` of each payload, not to be changed."""
    if len(path) > 1 or not isinstance(path[0], str):
        return [elements_at(payload, path) for payload in payloads]
    key, nothing = path[0], list[Json]()
    values = [payload.get(key, nothing) for payload in payloads]
    return [value if isinstance(value, list) else [value] for value in values]


def require_readable(payload: Mapping[str, Json]) -> None:
    """Raises BadInput when a payload nests deeper than clients can read."""
    if _CONTAINERS.isdisjoint(map(type, payload.values())):
        return  # The usual case: nothing nests.
    containers = _containers(payload.values())
    depth = 0
    while containers:
        depth += 1
        if depth > DEPTH_MAX:
            raise BadInput(f"Payload is nested too deeply: at most {DEPTH_MAX} levels of arrays and objects")
        containers = _containers(
            chain.from_iterable([each.values() if isinstance(each, dict) else each for each in containers])
        )


def _containers(values: Iterable[Json]) -> list[dict[str, Json] | list[Json]]:
    return [value for value in values if isinstance(value, dict | list)]


def set_payload(payload: Payload, change: Mapping[str, Json], key: Path | None) -> Payload:
    """``payload`` with ``change`` laid over it at the root or at ``key``; a null removes its key. The input is not
    changed.

    On the way to ``key`` missing objects are made and other values replaced; ``[n]`` counts only where it exists;
    ``[]`` is every element, and turns what is no array into an empty one. Raises BadInput for a key of more steps than
    there may be levels.
    """
    if key is None:
        return _merged(payload, change)
    if len(key) > DEPTH_MAX:
        raise BadInput(f"Payload key has too many steps: at most {DEPTH_MAX} are allowed, got {len(key)}")
    changed = _changed_at(payload, key, change)
    assert isinstance(changed, dict)
    return changed


def _merged(target: Json, change: Mapping[str, Json]) -> Payload:
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = value
    return merged


def _changed_at(value: Json, path: Path, change: Mapping[str, Json]) -> Json:
    if not path:
        return _merged(value, change)
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        changed = dict(value) if isinstance(value, dict) else {}
        changed[step] = _changed_at(changed.get(step), rest, change)
        return changed
    elements = list(value) if isinstance(value, list) else []
    if isinstance(step, EveryElement):
        return [_changed_at(element, rest, change) for element in elements]
    if step < len(elements):
        elements[step] = _changed_at(elements[step], rest, change)
    return elements


def delete_path(payload: Payload, path: Path) -> Payload:
    """``payload`` without what lies at ``path``; a path ending in ``[n]`` takes nothing away. The input is not
    changed.
    """
    deleted = _deleted_at(payload, path)
    assert isinstance(deleted, dict)
    return deleted


def _deleted_at(value: Json, path: Path) -> Json:
    step, rest = path[0], path[1:]
    if isinstance(step, str):
        if not isinstance(value, dict) or step not in value:
            return value
        if not rest:
            return {name: item for name, item in value.items() if name != step}
        return {**value, step: _deleted_at(value[step], rest)}
    if not isinstance(value, list):
        return value
    if isinstance(step, EveryElement):
        return [] if not rest else [_deleted_at(element, rest) for element in value]
    if step >= len(value) or not rest:
        return value  # Qdrant takes no single element out of an array
    return [_deleted_at(element, rest) if position == step else element for position, element in enumerate(value)]
