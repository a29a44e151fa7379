"""Segments whose rows have other numbers: whatever the numbers, everything that lives is found, and nothing else."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qdrantlite.segment.renumbering import NOWHERE, Renumbering
from qdrantlite.segment.sealed import GraphParams, SealedSegment, carry, extend, seal
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.exact import MISSING, prepare_rows
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.storage.vacant import ranges_of
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.vector import U32

OLD, DIM, PARAMS = 600, 8, GraphParams(8, 64)


def selected(offsets: "np.ndarray[tuple[int], np.dtype[np.integer]]") -> Selection:
    return Selection.from_offsets(offsets.astype(np.uint32))


def assert_finds_all_of(segment: SealedSegment, living: U32) -> None:
    """A beam over everything meets all that lives, whatever the query."""
    queries = np.asarray(segment.graph.rows[living[:: max(1, len(living) // 5)]], dtype=np.float32)
    found, _ = segment.walk(queries, limit=segment.graph.count, ef=segment.graph.count, passing=None)
    for each in found:
        assert np.array_equal(np.sort(each[each != MISSING]), living)
    assert segment.apart is None


def moved(rows: Rows, chance: np.random.Generator, *, late: float) -> tuple[Any, Selection, Renumbering]:
    """A third of the rows died and half of the others moved to the end, between rows that are new."""
    living = np.flatnonzero(chance.random(OLD) >= 1 / 3)
    moves = living[chance.random(len(living)) < 0.5]
    places = np.flatnonzero(chance.random(OLD) >= late)[: len(moves)] + OLD
    moves = moves[: len(places)]
    after = np.array(rows)
    after[places] = rows[moves]
    new = np.setdiff1d(np.arange(OLD, int(places[-1]) + 9), places)
    present = selected(np.concatenate((np.setdiff1d(living, moves), places, new)))
    return after, present, Renumbering(selected(moves), selected(places), others_stay=True)


@pytest.mark.parametrize("distance", list(Distance))
@pytest.mark.parametrize("datatype", list(Datatype))
def test_moved_rows_are_linked_where_they_are_now(distance: Distance, datatype: Datatype) -> None:
    chance = np.random.default_rng(3)
    rows = prepare_rows(chance.normal(100, 30, (3 * OLD, DIM)), distance, datatype)
    segment = seal(rows, Selection.of_range(0, OLD), distance=distance, params=PARAMS, threads=1)
    after, present, renumbering = moved(rows, chance, late=0.1)
    carried = carry(segment, renumbering.origins(present.offsets()), after, present, threads=1)
    assert carried is not None
    living = present.offsets()
    assert_finds_all_of(carried, living[living < carried.stop])
    assert carried.pruned == segment.linked - int(np.count_nonzero(renumbering.origins(living) < OLD))
    grown = extend(carried, after, present, threads=1)
    assert_finds_all_of(grown, living)
    gone = np.setdiff1d(np.arange(OLD), living)
    assert not carried.links(ranges_of(np.stack((gone, gone + 1), axis=1)))
    assert carried.links(ranges_of([(int(living[0]), int(living[0]) + 1)]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_moving_and_copying_lose_nothing(seed: int) -> None:
    """Few components and small whole numbers make many rows alike, which graphs link worst."""
    chance = np.random.default_rng(seed)
    rows = np.round(chance.normal(size=(2 * OLD, 3))).astype(np.float32)
    segment = seal(rows, Selection.of_range(0, OLD), distance=Distance.EUCLID, params=PARAMS, threads=1)
    after, present, renumbering = moved(rows, chance, late=0.0)
    present = selected(present.offsets()[present.offsets() <= renumbering.after.offsets().max()])
    carried = carry(segment, renumbering.origins(present.offsets()), after, present, threads=1)
    assume(carried is not None)
    assert carried is not None
    living = present.offsets()
    assert_finds_all_of(carried, living)
    copies = Selection.of_range(0, len(living))
    origins = Renumbering(present, copies, others_stay=False).origins(copies.offsets())
    copied = carry(carried, origins, after[living], copies, threads=1)
    assume(copied is not None)
    assert copied is not None
    assert_finds_all_of(copied, copies.offsets())


def test_origins_of_rows_that_stay_and_of_copies() -> None:
    named, given_rows = (selected(np.array([2, 5])), selected(np.array([8, 9]))), np.array([1, 8, 9, 12], np.uint32)
    assert Renumbering(*named, others_stay=True).origins(given_rows).tolist() == [1, 2, 5, 12]
    assert Renumbering(*named, others_stay=False).origins(given_rows).tolist() == [NOWHERE, 2, 5, NOWHERE]
