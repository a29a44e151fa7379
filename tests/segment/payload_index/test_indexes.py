"""What every kind of payload index must do: forget, merge, count, dump and load, and never change what was asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.query import filter as f
from qdrantlite.query.filter import MatchKeyword, MatchSubstring
from qdrantlite.segment import merge_policy
from qdrantlite.segment.bitmaps import Offsets
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index, supports_order_by
from qdrantlite.segment.payload_index.keyword import KeywordKind
from qdrantlite.segment.payload_index.kind import Kind, Piece, Values
from qdrantlite.segment.payload_index.parts import Parts
from qdrantlite.segment.payload_index.words import Words
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.storage.checkpoint import read_derived, write_derived
from qdrantlite.storage.files import PosixFiles
from qdrantlite.values.dates import Instant
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams

REPEATED: dict[FieldKind, tuple[list[Json], list[Json], list[Json]]] = {
    FieldKind.KEYWORD: (["a", "b"], ["b"], [7]),
    FieldKind.INTEGER: ([1, 2], [2.0], ["7"]),
    FieldKind.FLOAT: ([1, 2.5], [2.5], ["7"]),
    FieldKind.BOOL: ([True, False], [False], [1]),
    FieldKind.DATETIME: (["2020-01-01", "2021-01-01T00:00:00Z"], ["2021-01-01"], [7]),
    FieldKind.UUID: ([str(UUID(int=5)), UUID(int=6).hex], [f"{{{UUID(int=6)}}}"], ["7"]),
    FieldKind.GEO: ([{"lon": 180, "lat": 1}, {"lon": -180, "lat": 90}], [{"lon": 180.0, "lat": 1}], [7]),
    FieldKind.TEXT: (["red car", "blue"], ["blue red blue car"], [7]),
}
"""Elements that many points share: two of the kind, one of the kind, one of another kind."""


def elements(kind: FieldKind, number: int) -> list[Json]:
    """What point ``number`` has at the field; every sixth has a value of its own."""
    both, one, other = REPEATED[kind]
    own: dict[FieldKind, Json] = {
        FieldKind.KEYWORD: f"w{number}",
        FieldKind.BOOL: True,
        FieldKind.DATETIME: f"2020-01-01T00:00:00.{number:06}",
        FieldKind.UUID: str(UUID(int=number)),
        FieldKind.GEO: {"lon": number % 360 - 180, "lat": number % 7},
        FieldKind.TEXT: f"car w{number}",
    }
    null: list[Json] = [None]
    return (both, one, [own.get(kind, number)], null, [], other)[number % 6]


NEW_YEAR = Instant(1_577_836_800, 0)
"""The first moment of 2020."""

QUESTIONS: dict[FieldKind, tuple[f.Predicate, ...]] = {
    FieldKind.KEYWORD: (
        *(f.MatchKeyword("b"), f.MatchAnyKeyword(("a", "w2", "none")), f.MatchExceptKeyword(("b",))),
        *(f.MatchPrefix("w"), f.MatchSubstring("4"), f.IsNullFlag(True)),
    ),
    FieldKind.INTEGER: (
        *(f.MatchInteger(2), f.MatchAnyInteger((1, 8, -1)), f.MatchExceptInteger((2,)), f.Range(gte=1.5, lt=900)),
        f.IsNullFlag(True),
    ),
    FieldKind.FLOAT: (f.Range(gt=2), f.Range(gte=2.5, lte=2.5), f.IsNullFlag(True)),
    FieldKind.BOOL: (f.MatchBool(True), f.MatchBool(False), f.IsNullFlag(True)),
    FieldKind.DATETIME: (
        *(f.DatetimeRange(gt=NEW_YEAR, lte=Instant(NEW_YEAR.second, 900)), f.DatetimeRange(lt=NEW_YEAR)),
        *(f.DatetimeRange(gte=Instant(NEW_YEAR.second + 1, 0)), f.Range(gte=1.6e15), f.IsNullFlag(True)),
    ),
    FieldKind.UUID: (
        *(f.MatchKeyword(str(UUID(int=6)).upper()), f.MatchAnyKeyword((UUID(int=8).hex, str(UUID(int=5))))),
        *(f.MatchExceptKeyword((UUID(int=6).hex,)), f.MatchExceptKeyword(()), f.IsNullFlag(True)),
    ),
    FieldKind.GEO: (
        *(f.GeoRadius(GeoPoint(-179.5, 0.0), 4e5), f.GeoRadius(GeoPoint(0.0, 89.0), 2e5)),
        *(f.GeoBoundingBox(GeoPoint(170.0, 3.5), GeoPoint(-100.0, 0.5)), f.IsNullFlag(True)),
        f.GeoPolygon((GeoPoint(-10.0, -1.0), GeoPoint(90.0, 3.5), GeoPoint(-10.0, 3.5), GeoPoint(-10.0, -1.0))),
    ),
    FieldKind.TEXT: (
        *(f.MatchText("RED blue"), f.MatchText("red none"), f.MatchTextAny("car w2"), f.MatchPhrase("blue red")),
        *(f.MatchPhrase("red blue car"), f.MatchPhrase("car w8"), f.MatchPhrase("w2"), f.IsNullFlag(True)),
    ),
}
KINDS = list(REPEATED)
PARAMS = {FieldKind.TEXT: FieldParams(phrase_matching=True, scoring="bm25")}


def schema_of(kind: FieldKind) -> FieldIndex:
    return FieldIndex(kind, PARAMS.get(kind))


def filled(kind: FieldKind, numbers: list[int], *, batch: int = 700) -> PayloadIndex:
    index = make_index(schema_of(kind))
    for start in range(0, len(numbers), batch):
        chunk = numbers[start : start + batch]
        index = index.with_points(np.array(chunk, dtype=np.uint32), [elements(kind, i) for i in chunk])
    return index


def answers(index: PayloadIndex) -> list[BitMap]:
    """All an index tells."""
    found = [index.match(question) for question in QUESTIONS[index.schema.kind]]
    told = [BitMap() | bitmap for bitmap in (*found, *index.valued()) if bitmap is not None]
    assert len(told) == len(found) + 2
    return told


def whole(index: PayloadIndex) -> PayloadIndex:
    """All in one segment."""
    layers = index.stack.layers
    return PayloadIndex(index.schema, index.kind, Stack((Layer(index.merged(layers)),) if layers else ()))


@pytest.mark.parametrize("kind", KINDS)
def test_forgotten_points_are_as_if_never_added(kind: FieldKind) -> None:
    gone = [i for i in range(3000) if i % 7 == 0 or 500 < i < 900]
    index = filled(kind, list(range(3000))).without(BitMap([*gone, 99_999]))
    kept = filled(kind, [i for i in range(3000) if i not in set(gone)])
    everything = BitMap(range(5000))
    for one in (index, index.settled(), whole(index)):
        assert answers(one) == answers(kept)
        assert one.points(everything) == kept.points(everything)
        assert sum(len(layer.segment.held) - len(layer.forgotten) for layer in one.stack) == sum(
            len(layer.segment.held) for layer in kept.stack
        )


@pytest.mark.parametrize("kind", KINDS)
def test_points_can_be_forgotten_and_taken_up_again(kind: FieldKind) -> None:
    index = filled(kind, list(range(2000)))
    moved = (0, 1, 2, 3, 1999)
    for offset in moved:
        index = index.without(BitMap([offset]))
        index = index.with_points(np.array([offset], dtype=np.uint32), [elements(kind, offset + 1)])
    wanted = make_index(schema_of(kind)).with_points(
        np.arange(2000, dtype=np.uint32), [elements(kind, i + (i in moved)) for i in range(2000)]
    )
    assert answers(index) == answers(whole(index)) == answers(wanted)


BATCHES = st.lists(
    st.tuples(st.lists(st.integers(0, 40), unique=True, max_size=9), st.frozensets(st.integers(0, 40), max_size=6)),
    max_size=9,
)


@pytest.mark.parametrize("kind", KINDS)
@given(batches=BATCHES, tail=st.sampled_from([2, 7, 1000]))
def test_index_of_any_history_is_one_built_at_once(
    kind: FieldKind, batches: list[tuple[list[int], frozenset[int]]], tail: int
) -> None:
    index, model = make_index(schema_of(kind)), dict[int, int]()
    with patch.multiple(merge_policy, TINY_MAX=tail):
        for at, (taken, gone) in enumerate(batches):
            index = index.without(BitMap([*taken, *gone]))
            offsets = sorted(taken)
            index = index.with_points(np.array(offsets, dtype=np.uint32), [elements(kind, i + at) for i in offsets])
            for offset in gone - set(taken):
                model.pop(offset, None)
            model.update({offset: offset + at for offset in offsets})
        settled = index.settled()
    wanted = make_index(schema_of(kind)).with_points(
        np.array(sorted(model), dtype=np.uint32), [elements(kind, model[offset]) for offset in sorted(model)]
    )
    assert answers(index) == answers(settled) == answers(whole(index)) == answers(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_segments_survive_a_checkpoint_file(kind: FieldKind, tmp_path: Path) -> None:
    index = filled(kind, list(range(2500))).without(BitMap(range(100, 200)))
    layers = []
    for number, layer in enumerate(index.stack):
        path = tmp_path / "derived" / str(number)
        write_derived(path, format_version=1, covers_seq=7, parts=layer.segment.dump(), files=PosixFiles())
        derived = read_derived(path, format_version=1, files=PosixFiles())
        assert derived is not None
        layers.append(Layer(index.load(derived.parts), layer.forgotten))
    loaded = PayloadIndex(index.schema, index.kind, Stack(tuple(layers)))
    assert answers(loaded) == answers(index)
    both = []
    for one in (loaded, index):
        late = one.with_points(np.array([9000], dtype=np.uint32), [elements(kind, 2)]).without(BitMap([5, 6, 7]))
        both.append((answers(late), answers(whole(late)), late.points(BitMap(range(9001)))))
    assert both[0] == both[1]
    assert both[0][0] == both[0][1]


@pytest.mark.parametrize("kind", KINDS)
def test_empty_index_answers_and_survives_a_dump(kind: FieldKind) -> None:
    empty = make_index(schema_of(kind))
    assert not any(answers(empty))
    nothing = empty.segment_of(np.empty(0, dtype=np.uint32), ())
    loaded = PayloadIndex(empty.schema, empty.kind, Stack((Layer(empty.load(dict(nothing.dump()))),)))
    assert not any(answers(loaded))
    assert answers(loaded.with_points(np.array([0], dtype=np.uint32), [elements(kind, 0)])) == answers(
        filled(kind, [0])
    )


@pytest.mark.parametrize("kind", KINDS)
def test_index_stays_as_it_was(kind: FieldKind) -> None:
    index = filled(kind, list(range(1500)))
    before = answers(index)
    index.with_points(np.arange(5000, 6200, dtype=np.uint32), [elements(kind, i) for i in range(1200)]).settled()
    index.without(BitMap(range(900))).settled()
    assert answers(index) == before


@pytest.mark.parametrize("kind", KINDS)
def test_points_counts_live_ones_with_a_value_of_the_kind(kind: FieldKind) -> None:
    index = filled(kind, list(range(600)))
    assert index.points(BitMap(range(600))) == 300
    assert index.points(BitMap(range(6))) == 3
    assert index.points(BitMap()) == 0


@dataclass
class Counted:
    """Counts the points of which values are made."""

    kind: Kind
    built: list[int] = field(default_factory=list)

    def build(self, offsets: Offsets, elements: Sequence[list[Json]]) -> Values:
        self.built.append(len(offsets))
        return self.kind.build(offsets, elements)

    def merge(self, pieces: Sequence[Piece]) -> Values:
        return self.kind.merge(pieces)

    def load(self, parts: Parts) -> Values:
        return self.kind.load(parts)


def test_values_of_small_commits_are_made_when_they_are_asked_for() -> None:
    counted = Counted(KeywordKind())
    index = PayloadIndex(FieldIndex(FieldKind.KEYWORD), counted)

    def added(first: int, stop: int) -> PayloadIndex:
        words: list[list[Json]] = [[f"w{number % 5}"] for number in range(first, stop)]
        return index.with_points(np.arange(first, stop, dtype=np.uint32), words)

    for number in range(100):
        index = added(number, number + 1)
    assert counted.built == []
    index = index.without(BitMap([7, 50]))
    assert index.match(MatchKeyword("w2")) == BitMap(range(2, 100, 5)) - BitMap([7])
    assert sum(counted.built) == 100  # Masked ones are left out by the next merge.
    index.match(MatchKeyword("w3"))
    assert sum(counted.built) == 100
    index = added(100, 101)
    assert index.match(MatchKeyword("w0")) == BitMap(range(0, 101, 5)) - BitMap([50])
    index = added(200, 200 + 2 * merge_policy.TINY_MAX)
    assert counted.built[-1] == 2 * merge_policy.TINY_MAX  # Too many to wait.


def test_what_was_long_to_find_outlives_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[list[Json]] = [[f"w{number}"] for number in range(3000)]
    index = make_index(FieldIndex(FieldKind.KEYWORD))
    index = index.with_points(np.arange(2500, dtype=np.uint32), words[:2500])
    searched: list[int] = []
    containing = Words.containing

    def counted(of: Words, substring: str) -> npt.NDArray[np.uint32]:
        searched.append(len(of))
        return containing(of, substring)

    monkeypatch.setattr(Words, "containing", counted)
    wanted = [number for number in range(3000) if "7" in str(number)]
    assert index.match(MatchSubstring("7")) == BitMap([number for number in wanted if number < 2500])
    assert searched == [2500]
    index = index.without(BitMap([7])).with_points(np.array([2600], dtype=np.uint32), words[2700:2701])
    assert index.match(MatchSubstring("7")) == BitMap([*wanted[1 : wanted.index(2507)], 2600])
    assert index.match(MatchSubstring("8")) is not None
    assert searched == [2500, 1, 2500, 1]


def test_order_by_needs_numbers_with_range() -> None:
    assert supports_order_by(FieldIndex(FieldKind.INTEGER))
    assert supports_order_by(FieldIndex(FieldKind.FLOAT))
    assert supports_order_by(FieldIndex(FieldKind.DATETIME))
    assert supports_order_by(FieldIndex(FieldKind.INTEGER, FieldParams(lookup=False)))
    assert not supports_order_by(FieldIndex(FieldKind.INTEGER, FieldParams(range=False)))
    assert not supports_order_by(FieldIndex(FieldKind.KEYWORD))


def test_words_without_points_are_dropped_by_a_merge() -> None:
    index = filled(FieldKind.KEYWORD, list(range(60)))
    index = whole(index.without(BitMap(i for i in range(60) if i % 6 == 2 and i != 2)))
    (layer,) = index.stack
    assert bytes(dict(layer.segment.dump())["words"]) == b"abw2"


def test_only_what_a_float_takes_for_the_last_of_64_bits_is_kept_as_it() -> None:
    values: list[list[Json]] = [[2**63 + 5], [-1e30], [2**63 - 1], [1e300], [2**63 + 5000]]
    index = make_index(FieldIndex(FieldKind.INTEGER)).with_points(np.arange(5, dtype=np.uint32), values)
    assert index.match(f.Range(gte=2.0**62)) == BitMap([0, 2])
    assert index.match(f.Range(lt=-(2.0**62))) == BitMap()
    assert index.match(f.MatchInteger(2**63 - 1)) == BitMap([0, 2])
