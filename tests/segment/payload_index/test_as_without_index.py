"""An index finds the points that are found without it, save for what the kinds of index leave out or see otherwise.

Of datetime these are leap seconds, of uuid other spellings, of geo points beyond the globe, and of text several texts
of one point; none of them is among the values here.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.query import filter as f
from qdrantlite.query.evaluate import payload_test
from qdrantlite.segment.payload_index.index import make_index
from qdrantlite.values.dates import Instant, parse_instant
from qdrantlite.values.geo import GeoPoint
from qdrantlite.values.payload import Json
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams

OTHERS: st.SearchStrategy[Json] = st.sampled_from([None, 7, 1.5, True, "", "x", "2021-02-29", {"lon": 1}, []])
UUIDS = st.sampled_from([str(UUID(int=number)) for number in (0, 1, 2**127)])
DEGREES = st.sampled_from([0.0, 1.0, 89.9, 90.0]).flatmap(lambda degree: st.sampled_from([degree, -degree]))
SPOTS = st.builds(GeoPoint, DEGREES.map(lambda degree: 2 * degree), DEGREES)
WORDS = st.sampled_from(["red", "RED", "car", "ΣΊΣΥΦΟΣ", "İstanbul", "ıI", "中文", "😀", "a_b", "x-y"])
TEXTS = st.lists(WORDS, max_size=5).map(" ".join)
MOMENTS = st.integers(-3, 3).map(
    lambda step: datetime(2020, 2, 29, 23, 59, 59, 999_999) + step * timedelta(microseconds=1)
)
INSTANTS = st.none() | MOMENTS.map(lambda moment: parse_instant(moment.isoformat()))
SIZES = st.sampled_from([1.0, 1e5, 9e6, 2.1e7])


def ring(points: Sequence[GeoPoint]) -> tuple[GeoPoint, ...]:
    return (*points, points[0])


RINGS = st.lists(SPOTS, min_size=3, max_size=6).map(ring)
SOME_WORDS = st.lists(UUIDS, max_size=3).map(tuple)
VALUES: dict[FieldKind, st.SearchStrategy[Json]] = {
    FieldKind.DATETIME: MOMENTS.flatmap(
        lambda moment: st.sampled_from([moment.isoformat(), f"{moment}Z", f"{moment}+01:00"])
    ),
    FieldKind.UUID: UUIDS,
    FieldKind.GEO: SPOTS.map(lambda spot: {"lon": spot.lon, "lat": spot.lat}),
    FieldKind.TEXT: TEXTS,
}
ASKED: dict[FieldKind, st.SearchStrategy[f.Predicate]] = {
    FieldKind.DATETIME: st.builds(f.DatetimeRange, lt=INSTANTS, gt=INSTANTS, gte=INSTANTS, lte=INSTANTS),
    FieldKind.UUID: st.builds(f.MatchKeyword, UUIDS) | st.builds(f.MatchAnyKeyword, SOME_WORDS),
    FieldKind.GEO: st.builds(f.GeoRadius, SPOTS, SIZES)
    | st.builds(f.GeoBoundingBox, SPOTS, SPOTS)
    | st.builds(f.GeoPolygon, RINGS, st.lists(RINGS, max_size=1).map(tuple)),
    FieldKind.TEXT: st.builds(f.MatchText, TEXTS) | st.builds(f.MatchTextAny, TEXTS) | st.builds(f.MatchPhrase, TEXTS),
}
ONE_TEXT = FieldParams(phrase_matching=True)


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data())
def test_index_finds_what_is_found_without_it(kind: FieldKind, data: st.DataObject) -> None:
    several = st.lists(VALUES[kind] | OTHERS, max_size=1 if kind is FieldKind.TEXT else 3)
    fields = data.draw(st.lists(several, min_size=1, max_size=20))
    index = make_index(FieldIndex(kind, ONE_TEXT if kind is FieldKind.TEXT else None))
    half = len(fields) // 2
    index = index.with_points(np.arange(half, dtype=np.uint32), fields[:half])
    index = index.with_points(np.arange(half, len(fields), dtype=np.uint32), fields[half:])
    for _ in range(5):
        predicate = data.draw(ASKED[kind])
        passing = payload_test(f.FieldCondition("k", predicate))([{"k": field} for field in fields])
        if isinstance(predicate, f.MatchPhrase) and len(predicate.text.split()) < 2:
            continue  # Without an index a phrase has two words at least.
        assert index.match(predicate) == BitMap(np.flatnonzero(passing).tolist()), predicate


def test_leap_second_is_one_with_the_second_that_follows() -> None:
    index = make_index(FieldIndex(FieldKind.DATETIME)).with_points(
        np.arange(3, dtype=np.uint32),
        [["2016-12-31T23:59:60.5Z"], ["2017-01-01T00:00:00.5Z"], ["2017-01-01T00:00:00.4Z"]],
    )
    after, within = Instant(1_483_228_800, 500_000), parse_instant("2016-12-31T23:59:60.5Z")
    assert index.match(f.DatetimeRange(gte=after)) == BitMap([0, 1])
    assert index.match(f.DatetimeRange(gt=within)) == BitMap()
