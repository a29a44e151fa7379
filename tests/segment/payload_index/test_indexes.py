"""What every kind of payload index must do: forget, count, dump and load, and keep its answers apart from its state."""

from pathlib import Path

import numpy as np
import pytest
from pyroaring import BitMap

from qdrantlite.errors import Unsupported
from qdrantlite.query import filter as f
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index, supports_order_by
from qdrantlite.storage.checkpoint import read_derived, write_derived
from qdrantlite.storage.files import PosixFiles
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams

REPEATED: dict[FieldKind, tuple[list[Json], list[Json], list[Json]]] = {
    FieldKind.KEYWORD: (["a", "b"], ["b"], [7]),
    FieldKind.INTEGER: ([1, 2], [2.0], ["7"]),
    FieldKind.FLOAT: ([1, 2.5], [2.5], ["7"]),
    FieldKind.BOOL: ([True, False], [False], [1]),
}
"""Elements that many points share: two of the kind, one of the kind, one of another kind."""


def elements(kind: FieldKind, number: int) -> list[Json]:
    """What point ``number`` has at the field; every sixth has a value of its own."""
    both, one, other = REPEATED[kind]
    own: dict[FieldKind, Json] = {FieldKind.KEYWORD: f"w{number}", FieldKind.BOOL: True}
    null: list[Json] = [None]
    return (both, one, [own.get(kind, number)], null, [], other)[number % 6]


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
}
KINDS = list(REPEATED)


def filled(kind: FieldKind, numbers: list[int], *, batch: int = 700) -> PayloadIndex:
    index = make_index(FieldIndex(kind))
    for start in range(0, len(numbers), batch):
        chunk = numbers[start : start + batch]
        index.add(np.array(chunk, dtype=np.uint32), [elements(kind, i) for i in chunk])
    return index


def answers(index: PayloadIndex) -> list[BitMap]:
    """All an index tells."""
    found = [index.match(question) for question in QUESTIONS[index.kind]]
    told = [BitMap() | bitmap for bitmap in (*found, *index.valued()) if bitmap is not None]
    assert len(told) == len(found) + 2
    return told


@pytest.mark.parametrize("kind", KINDS)
def test_discarded_points_are_as_if_never_added(kind: FieldKind) -> None:
    gone = [i for i in range(3000) if i % 7 == 0 or 500 < i < 900]
    index = filled(kind, list(range(3000)))
    index.discard(BitMap([*gone, 99_999]))
    kept = filled(kind, [i for i in range(3000) if i not in set(gone)])
    assert answers(index) == answers(kept)
    everything = BitMap(range(5000))
    assert index.points(everything) == kept.points(everything)


@pytest.mark.parametrize("kind", KINDS)
def test_points_can_be_removed_and_added_again(kind: FieldKind) -> None:
    index = filled(kind, list(range(2000)))
    for offset in (0, 1, 2, 3, 1999):
        index.remove(offset, elements(kind, offset))
        index.add(np.array([offset], dtype=np.uint32), [elements(kind, offset + 1)])
    wanted = make_index(FieldIndex(kind))
    moved = {0, 1, 2, 3, 1999}
    wanted.add(np.arange(2000, dtype=np.uint32), [elements(kind, i + (i in moved)) for i in range(2000)])
    assert answers(index) == answers(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_index_survives_a_checkpoint_file(kind: FieldKind, tmp_path: Path) -> None:
    index = filled(kind, list(range(2500)))
    index.discard(BitMap(range(100, 200)))
    path = tmp_path / "derived" / "index"
    write_derived(path, format_version=1, covers_seq=7, parts=index.dump(), files=PosixFiles())
    derived = read_derived(path, format_version=1, files=PosixFiles())
    assert derived is not None
    loaded = make_index(FieldIndex(kind))
    loaded.load(derived.parts)
    assert answers(loaded) == answers(index)
    for one in (loaded, index):
        one.add(np.array([9000], dtype=np.uint32), [elements(kind, 2)])
        one.discard(BitMap([5, 6, 7]))
    assert answers(loaded) == answers(index)
    assert loaded.points(BitMap(range(9001))) == index.points(BitMap(range(9001)))


@pytest.mark.parametrize("kind", KINDS)
def test_empty_index_survives_a_dump(kind: FieldKind) -> None:
    loaded = make_index(FieldIndex(kind))
    loaded.load(dict(make_index(FieldIndex(kind)).dump()))
    assert not any(answers(loaded))
    loaded.add(np.array([0], dtype=np.uint32), [elements(kind, 0)])
    assert answers(loaded) == answers(filled(kind, [0]))


@pytest.mark.parametrize("kind", KINDS)
def test_answers_do_not_change_afterwards(kind: FieldKind) -> None:
    index = filled(kind, list(range(1500)))
    before = [index.match(question) for question in QUESTIONS[kind]]
    copies = [BitMap() | bitmap for bitmap in before if bitmap is not None]
    index.add(np.arange(5000, 6200, dtype=np.uint32), [elements(kind, i) for i in range(1200)])
    index.discard(BitMap(range(900)))
    assert before == copies


@pytest.mark.parametrize("kind", KINDS)
def test_points_counts_live_ones_with_a_value_of_the_kind(kind: FieldKind) -> None:
    index = filled(kind, list(range(600)))
    assert index.points(BitMap(range(600))) == 300
    assert index.points(BitMap(range(6))) == 3
    assert index.points(BitMap()) == 0


@pytest.mark.parametrize("kind", [FieldKind.GEO, FieldKind.TEXT, FieldKind.DATETIME, FieldKind.UUID])
def test_kinds_not_built_are_refused_by_name(kind: FieldKind) -> None:
    with pytest.raises(Unsupported, match=kind.value):
        make_index(FieldIndex(kind))


def test_order_by_needs_numbers_with_range() -> None:
    assert supports_order_by(FieldIndex(FieldKind.INTEGER))
    assert supports_order_by(FieldIndex(FieldKind.FLOAT))
    assert supports_order_by(FieldIndex(FieldKind.INTEGER, FieldParams(lookup=False)))
    assert not supports_order_by(FieldIndex(FieldKind.INTEGER, FieldParams(range=False)))
    assert not supports_order_by(FieldIndex(FieldKind.KEYWORD))


def test_words_without_points_are_dropped_by_a_dump() -> None:
    index = filled(FieldKind.KEYWORD, list(range(60)))
    index.discard(BitMap(i for i in range(60) if i % 6 == 2 and i != 2))
    words = dict(index.dump())["words"]
    assert words == b'["a","b","w2"]'


def test_only_what_a_float_takes_for_the_last_of_64_bits_is_kept_as_it() -> None:
    index = make_index(FieldIndex(FieldKind.INTEGER))
    index.add(np.arange(5, dtype=np.uint32), [[2**63 + 5], [-1e30], [2**63 - 1], [1e300], [2**63 + 5000]])
    assert index.match(f.Range(gte=2.0**62)) == BitMap([0, 2])
    assert index.match(f.Range(lt=-(2.0**62))) == BitMap()
    assert index.match(f.MatchInteger(2**63 - 1)) == BitMap([0, 2])
