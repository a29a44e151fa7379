"""An index that was written to, merged, dumped and loaded ranks texts as brute force over the points does."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from qdrantlite.deadline import FOREVER
from qdrantlite.query.search import TextQuery
from qdrantlite.segment import merge_policy
from qdrantlite.segment.payload_index import text_scores
from qdrantlite.segment.payload_index.index import PayloadIndex, make_index
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.stack import Layer, Stack
from qdrantlite.storage.checkpoint import read_derived, write_derived
from qdrantlite.storage.files import PosixFiles
from qdrantlite.text.bm25 import Saturation
from qdrantlite.values.schema import FieldIndex, FieldKind
from tests import oracle_text
from tests.oracle_filter import Point
from tests.strategies import TEXT_INDEX, WORDS, texts

KEY = "note"
ELEMENTS = st.lists(st.one_of(texts(), st.just(1)), max_size=2)


def ranked(index: PayloadIndex, query: TextQuery, live: Selection, chosen: Selection, limit: int) -> dict[int, float]:
    words = oracle_text.asked_words(query)
    known = index.texts().corpus(words, live)
    saturation = Saturation(query.k, query.b, known.average or 1.0)
    found = index.texts().search(words, known.rarities(), saturation, selection=chosen, limit=limit, ask=FOREVER.check)
    assert sorted(zip((-found[1]).tolist(), found[0].tolist(), strict=True)) == [
        *zip((-found[1]).tolist(), found[0].tolist(), strict=True)
    ]
    return dict(zip(found[0].tolist(), found[1].tolist(), strict=True))


def written(index: PayloadIndex, offset: int, found: list[object]) -> PayloadIndex:
    index = index.without(BitMap([offset]))
    return index.with_points(np.array([offset], dtype=np.uint32), [found])  # type: ignore[list-item]  # JSON


@settings(deadline=None, max_examples=60)
@given(
    step=st.sampled_from([1, 3, 30_000]),
    writes=st.lists(st.tuples(st.integers(0, 12), ELEMENTS), min_size=1, max_size=25),
    dead=st.frozensets(st.integers(0, 12), max_size=4),
    unseen=st.frozensets(st.integers(0, 12), max_size=3),
    query=st.builds(TextQuery, texts(), st.sampled_from([1.2, 0.0]), st.sampled_from([0.75, 1.0, 0.0])),
    tiny=st.sampled_from([2, 8, 1000]),
    few=st.booleans(),
)
def test_scores_are_those_of_brute_force(
    step: int,
    writes: list[tuple[int, list[object]]],
    dead: frozenset[int],
    unseen: frozenset[int],
    query: TextQuery,
    tiny: int,
    few: bool,
) -> None:
    """``dead`` points are forgotten by the index, ``unseen`` ones only left out of what lives."""
    index = make_index(TEXT_INDEX)
    held: dict[int, list[object]] = {}
    with patch.multiple(merge_policy, TINY_MAX=tiny):
        for number, found in writes:
            index = written(index, number * step, found)
            held[number * step] = found
        gone = {number * step for number in dead}
        index = index.without(BitMap(gone))
    index = index.settled() if few else index
    held = {offset: found for offset, found in held.items() if offset not in gone}
    living = {offset: found for offset, found in held.items() if offset not in {number * step for number in unseen}}
    live = Selection(BitMap(living))
    points = [Point(offset, {}, {KEY: found}) for offset, found in living.items()]  # type: ignore[dict-item]  # JSON
    places = oracle_text.text_scores(query, KEY, points, points)
    expected = {points[place].id: score for place, score in places.items()}
    with patch.multiple(text_scores, LOOKUP_COST=0 if few else 40, FEW_SHARE=0 if few else 4):
        assert ranked(index, query, live, live, 100) == expected
        best = sorted(expected, key=lambda offset: (-expected[offset], offset))
        for limit in (1, 2, 3):
            assert list(ranked(index, query, live, live, limit)) == best[:limit]
    chosen = Selection(BitMap(list(living)[::2]))
    assert ranked(index, query, live, chosen, 100) == {o: expected[o] for o in chosen.bitmap if o in expected}


@pytest.mark.parametrize("filler", [0, 400])
def test_rare_words_decide_where_frequent_ones_cannot_reach_them(filler: int) -> None:
    """Two points say the rare word, in short texts or in long ones; others say both frequent words."""
    said = ["rare" + " z" * filler] * 2 + ["a b"] * 10 + ["a", "b"] * 60 + ["z z z"] * 100
    index = make_index(TEXT_INDEX).with_points(np.arange(len(said), dtype=np.uint32), [[text] for text in said])
    points = [Point(offset, {}, {KEY: text}) for offset, text in enumerate(said)]
    live, query = Selection.of_range(0, len(said)), TextQuery("a rare b")
    places = oracle_text.text_scores(query, KEY, points, points)
    best = sorted(places, key=lambda place: (-places[place], place))[:2]
    assert (best == [0, 1]) == (filler == 0)
    with patch.object(text_scores, "_best", side_effect=text_scores._best) as asked:
        assert list(ranked(index, query, live, live, 2)) == best
    assert len(asked.call_args_list) == (1 if filler == 0 else 2), "frequent words are added up only where they matter"


@pytest.mark.parametrize("ratio", [1, 10_000])
def test_lengths_are_found_by_table_and_by_search(ratio: int) -> None:
    with patch.object(text_scores, "TABLE_RATIO", ratio):
        lengths = text_scores.Lengths.of_tokens(np.array([5, 5, 90, 400, 400, 400], dtype=np.uint32))
        assert lengths.of(np.array([400, 5], dtype=np.uint32)).tolist() == [3, 2]
        assert lengths.total(BitMap([90, 400])) == 4


def test_segments_without_what_ranks_are_not_read(tmp_path: Path) -> None:
    """Those of a time when ``scoring`` was kept without effect."""
    silent = make_index(FieldIndex(FieldKind.TEXT, replace(TEXT_INDEX.params, scoring=None)))  # type: ignore[type-var]  # given
    segment = silent.segment_of(np.array([1], dtype=np.uint32), [[" ".join(WORDS)]])
    with pytest.raises(KeyError):
        make_index(TEXT_INDEX).load(dict(segment.dump()))
    scoring = make_index(TEXT_INDEX).segment_of(np.array([1], dtype=np.uint32), [[" ".join(WORDS)]])
    path, files = tmp_path / "segment", PosixFiles()
    write_derived(path, format_version=1, covers_seq=0, parts=scoring.dump(), files=files)
    read = read_derived(path, format_version=1, files=files)
    assert read is not None
    loaded = make_index(TEXT_INDEX)
    loaded = replace(loaded, stack=Stack((Layer(loaded.load(read.parts)),)))
    everybody = Selection(BitMap([1]))
    asked = (TextQuery("tea and"), everybody, everybody, 9)
    assert ranked(loaded, *asked) == ranked(replace(loaded, stack=Stack((Layer(scoring),))), *asked) != {}
