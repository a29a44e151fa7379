"""What a formula knows of its candidates: the scores their sources gave them, and columns of their payloads.

Payloads are read once, when first needed. A column is made once for a path: values that are there, and for the others
why they are not, which matters only to candidates that need them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qdrantlite.errors import BadInput
from qdrantlite.execute.ranking import Bools, Positions, Ranking
from qdrantlite.execute.view import ShardView
from qdrantlite.plan.bound import BoundFormula
from qdrantlite.query.elements import geo_point_of, instant_of, is_number
from qdrantlite.query.filter import Condition
from qdrantlite.query.variable import score_number
from qdrantlite.segment.payload_index.index import held_elements
from qdrantlite.values.dates import MICROSECONDS
from qdrantlite.values.geo import F64
from qdrantlite.values.payload import EVERY, Json, Path, Payload, elements_at, parse_path, values_at
from qdrantlite.values.schema import FieldKind
from qdrantlite.values.vector import U32

ABSENT = "No value found in a payload nor defaults"

Parsed = Callable[[Json], "tuple[float, ...] | str"]
"""From a value to the numbers it means, or to what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """``numbers`` ``(n, k) float64``; where ``faulty`` ``(n,) bool``, ``faults`` says by row what is wrong."""

    numbers: F64
    faulty: Bools
    faults: dict[int, str]


class Candidates:
    """Offsets ``(n,) uint32`` ascending, and the rankings they come from. Rows are positions in the offsets."""

    def __init__(self, formula: BoundFormula, offsets: U32, sources: Sequence[Ranking], view: ShardView) -> None:
        self._formula = formula
        self._offsets = offsets
        self._sources = sources
        self._view = view
        self._columns: dict[tuple[str, Path], _Column] = {}

    def variable(self, name: str, rows: Positions) -> F64:
        """Values of a variable, ``(n,) float64``: a source's score or a number of the payload. Raises BadInput."""
        number = score_number(name)
        if number is None:
            return self._column(name, "number", _number, 1, rows)[:, 0]
        return self._scores(number)[rows]

    def meeting(self, condition: Condition, rows: Positions) -> Bools:
        """Which candidates meet a condition, ``(n,) bool``."""
        return self._formula.conditions[id(condition)].passes(self._offsets[rows])

    def places(self, key: str, rows: Positions) -> tuple[F64, F64]:
        """Longitudes and latitudes at a path, ``(n,) float64`` each. Raises BadInput."""
        degrees = self._column(key, "geo point", _place, 2, rows)
        return degrees[:, 0], degrees[:, 1]

    def seconds(self, key: str, rows: Positions) -> F64:
        """Seconds since 1970 of the dates at a path, ``(n,) float64``. Raises BadInput."""
        return self._column(key, "datetime", _seconds, 1, rows)[:, 0]

    @cached_property
    def _payloads(self) -> Sequence[Payload]:
        return self._view.payloads(self._offsets)

    def _scores(self, number: int) -> F64:
        """Scores by one source, with the default, or 0, for candidates that it did not hand up."""
        default = self._formula.score_defaults.get(number, 0.0)
        scores = np.full(len(self._offsets), default, dtype=np.float64)
        if number < len(self._sources):
            source = self._sources[number]
            scores[np.searchsorted(self._offsets, source.offsets)] = source.scores
        return scores

    def _column(self, key: str, expected: str, parsed: Parsed, width: int, rows: Positions) -> F64:
        path = parse_path(key)
        column = self._columns.get((expected, path))
        if column is None:
            column = self._columns[expected, path] = self._read(path, parsed, width)
        for row in rows[column.faulty[rows]][:1].tolist():
            raise BadInput(
                f"Expected {expected} value for {key} in the payload and/or in the formula defaults. "
                f"Error: {column.faults[row]}"
            )
        return column.numbers[rows]

    def _read(self, path: Path, parsed: Parsed, width: int) -> _Column:
        count = len(self._offsets)
        if parsed is _number and (plain := self._plain_numbers(path)) is not None:
            return _Column(plain[:, np.newaxis], np.zeros(count, dtype=np.bool_), {})
        numbers, faulty, faults = np.zeros((count, width)), np.zeros(count, dtype=np.bool_), dict[int, str]()
        for row, payload in enumerate(self._payloads):
            found = self._values(payload, path)
            value = found[0] if len(found) == 1 else found or self._formula.defaults.get(path, _NOTHING)
            meant = ABSENT if value is _NOTHING else parsed(value)
            if isinstance(meant, str):
                faulty[row], faults[row] = True, meant
            else:
                numbers[row] = meant
        return _Column(numbers, faulty, faults)

    def _plain_numbers(self, path: Path) -> F64 | None:
        """The numbers ``(n,)`` of a field in which every candidate has one, none in an array; None where it is not so.

        The usual case, in a tenth of the time; an index of integers tells without payloads. What an index of the field
        leaves out is left to the other way.
        """
        key, kind = path[0], self._formula.indexed.get(path)
        if kind is FieldKind.INTEGER and (index_key := self._formula.index_keys.get(path)) is not None:
            indexed = self._view.ordered(index_key).only(self._offsets)
            if indexed is not None:
                return indexed.astype(np.float64)
        if len(path) > 1 or not isinstance(key, str) or kind not in (None, FieldKind.INTEGER, FieldKind.FLOAT):
            return None
        values = [payload.get(key) for payload in self._payloads]
        types = set(map(type, values))
        if types == {int}:
            whole = np.array(values)
            return whole.astype(np.float64) if whole.dtype == np.int64 else None
        return np.array(values, dtype=np.float64) if types == {float} and kind is not FieldKind.INTEGER else None

    def _values(self, payload: Payload, path: Path) -> list[Json]:
        """What is at a path, an array opened; of an indexed field only what its index holds."""
        kind = self._formula.indexed.get(path)
        held = None if kind is None else held_elements(kind, elements_at(payload, path))
        if held is not None:
            return held
        found = list(values_at(payload, path))
        if EVERY not in path and len(found) == 1 and isinstance(found[0], list):
            return found[0]
        return found


_NOTHING: Json = {}
"""Told from other values by its identity."""


def _number(value: Json) -> tuple[float, ...] | str:
    if is_number(value):
        return (float(value),)
    return "Value is not a number"


def _place(value: Json) -> tuple[float, ...] | str:
    """An object with ``lon`` and ``lat``, or both in an array."""
    if isinstance(value, list) and len(value) == 2:
        value = dict(zip(("lon", "lat"), value, strict=True))
    point = geo_point_of(value)
    if point is None:
        return "Value is not a geo point"
    if not (-180 <= point.lon <= 180 and -90 <= point.lat <= 90):
        return "Validation failed: longitude and latitude must be within -180 to 180 and -90 to 90 degrees"
    return point.lon, point.lat


def _seconds(value: Json) -> tuple[float, ...] | str:
    moment = instant_of(value)
    return "Value is not a datetime" if moment is None else (moment.micros / MICROSECONDS,)
