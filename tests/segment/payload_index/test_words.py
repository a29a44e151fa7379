"""Words of several segments become those of one."""

from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.segment.payload_index import words as module
from qdrantlite.segment.payload_index.words import Words, merged_words

WORDS = st.frozensets(st.text(alphabet="ab\u00e9\ud800", max_size=12), max_size=12)


@given(pieces=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4), step=st.integers(1, 4))
def test_merged_words_are_those_used_each_found_from_its_piece(
    pieces: list[tuple[frozenset[str], frozenset[str]]], step: int
) -> None:
    made = [Words.of(words)[0] for words, _ in pieces]
    used = [
        np.array([one.word(place) in wanted for place in range(len(one))], dtype=np.bool_)
        for one, (_, wanted) in zip(made, pieces, strict=True)
    ]
    with patch.object(module, "MERGED_AT_ONCE", step):
        merged, places = merged_words(made, used)
    kept = {word for words, wanted in pieces for word in words & wanted}
    expected, _ = Words.of(kept)
    assert list(merged) == list(expected)
    np.testing.assert_array_equal(merged.heads, expected.heads)
    np.testing.assert_array_equal(merged.starts, expected.starts)
    for one, mask, renamed in zip(made, used, places, strict=True):
        assert (renamed[1:] >= renamed[:-1]).all()
        for place in np.flatnonzero(mask).tolist():
            assert merged[int(renamed[place])] == one[place]
