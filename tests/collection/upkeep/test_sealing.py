"""When a vector's rows get a graph: decisions from counts and settings alone."""

from dataclasses import replace
from math import inf

import pytest

from qdrantlite.collection.shard.thresholds import full_scan_points
from qdrantlite.collection.upkeep.coding import coding_of
from qdrantlite.collection.upkeep.sealing import (
    POLISH_S,
    QUIET_S,
    TAIL_EAGER,
    TAIL_POLISH_AGAIN,
    WAIT_S,
    Sealing,
    SealingFacts,
    Wanted,
    choose,
    is_pending,
    wanted_of,
)
from qdrantlite.segment.sealed import Coding, GraphParams
from qdrantlite.segment.vector_index.quantized import BitCodes, CodeKind, ProductCodes, ScalarCodes
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import (
    HNSW_DEFAULT,
    OPTIMIZERS_DEFAULT,
    BinaryEncoding,
    BinaryQuantization,
    BinaryQueryEncoding,
    CollectionConfig,
    Compression,
    HnswConfig,
    Memory,
    ProductQuantization,
    Quantization,
    ScalarQuantization,
    TurboBits,
    TurboQuantization,
    VectorParams,
)

THRESHOLD = 1000
CONFIG = CollectionConfig(optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=THRESHOLD))
"""Rows of 1 KB, so that thresholds in KB are counts of rows."""
OTHER = CollectionConfig(optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=10_000))
OFF = CollectionConfig(optimizer_config=replace(OPTIMIZERS_DEFAULT, indexing_threshold=0))
PARAMS = GraphParams(16, 100)
WANTED = Wanted(PARAMS)
INT8 = Coding(ScalarCodes(), in_memory=False)
FRESH = SealingFacts(
    row_bytes=1024, tail=0, covered=0, covered_built=0, params=None, coding=None, quiet_s=60, waiting_s=0
)
SEALED = replace(FRESH, covered=20_000, covered_built=20_000, params=PARAMS)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (replace(FRESH, tail=THRESHOLD - 1), Sealing.NOTHING),
        (replace(FRESH, tail=THRESHOLD), Sealing.BUILD),
        (SEALED, Sealing.NOTHING),
        (replace(SEALED, tail=THRESHOLD), Sealing.EXTEND),
        (replace(SEALED, covered=16_000), Sealing.NOTHING),
        (replace(SEALED, covered=15_999), Sealing.PRUNE),
        (replace(SEALED, covered=15_999, tail=THRESHOLD), Sealing.PRUNE),
        (replace(SEALED, covered=10_000), Sealing.PRUNE),
        (replace(SEALED, covered=9_999), Sealing.BUILD),
        (replace(SEALED, covered=15_000, pruned=25_000), Sealing.PRUNE),
        (replace(SEALED, covered=15_000, pruned=25_001), Sealing.BUILD),
        (replace(SEALED, covered=16_000, pruned=10**6), Sealing.NOTHING),
        (replace(SEALED, covered=15_000, params=GraphParams(32, 100)), Sealing.BUILD),
        (replace(SEALED, covered=0, tail=1), Sealing.BUILD),
        (replace(SEALED, covered=0), Sealing.DROP),
        (replace(SEALED, params=GraphParams(32, 100)), Sealing.BUILD),
        (replace(SEALED, params=GraphParams(16, 200)), Sealing.BUILD),
        (replace(SEALED, coding=INT8), Sealing.ENCODE),
    ],
)
def test_what_is_due_at_rest(facts: SealingFacts, expected: Sealing) -> None:
    assert choose(facts, CONFIG, WANTED) is expected
    assert is_pending(facts, CONFIG, WANTED) == (expected is not Sealing.NOTHING)


def test_few_dead_points_do_not_wear_a_small_graph() -> None:
    small = replace(SEALED, covered=100, covered_built=999)
    assert choose(small, CONFIG, WANTED) is Sealing.NOTHING
    assert choose(replace(small, covered_built=1000), CONFIG, WANTED) is Sealing.BUILD
    assert choose(replace(small, covered=700, covered_built=1000), CONFIG, WANTED) is Sealing.PRUNE


def test_a_graph_that_is_pruned_again_and_again_is_built_anew_some_day() -> None:
    """A fifth of the points is replaced each time: the new ones are linked as in a fresh graph."""
    facts, done = SEALED, list[Sealing]()
    for _ in range(12):
        facts = replace(facts, covered=15_900, tail=4_100)
        while (choice := choose(facts, CONFIG, WANTED)) is not Sealing.NOTHING:
            done.append(choice)
            died = facts.covered_built - facts.covered
            match choice:
                case Sealing.PRUNE:
                    facts = replace(facts, covered_built=facts.covered, pruned=facts.pruned + died)
                case Sealing.EXTEND:
                    facts = replace(facts, tail=0, covered=20_000, covered_built=facts.covered_built + 4_100)
                case _:
                    facts = replace(facts, tail=0, covered=20_000, covered_built=20_000, pruned=0)
    assert [done.count(each) for each in (Sealing.BUILD, Sealing.PRUNE, Sealing.EXTEND)] == [1, 11, 11]


def test_codes_follow_their_settings() -> None:
    assert choose(SEALED, CONFIG, Wanted(PARAMS, INT8)) is Sealing.ENCODE
    coded = replace(SEALED, coding=INT8)
    assert choose(coded, CONFIG, Wanted(PARAMS, INT8)) is Sealing.NOTHING
    assert choose(coded, CONFIG, Wanted(PARAMS, replace(INT8, in_memory=True))) is Sealing.RELOAD
    assert choose(coded, CONFIG, Wanted(PARAMS, replace(INT8, query_bits=4))) is Sealing.RELOAD
    assert choose(coded, CONFIG, Wanted(PARAMS, replace(INT8, kind=BitCodes(1)))) is Sealing.ENCODE


def test_small_tail_is_linked_when_writes_have_rested_but_is_not_waited_for() -> None:
    tail = replace(SEALED, tail=300, quiet_s=POLISH_S)
    assert choose(tail, CONFIG, WANTED) is Sealing.EXTEND
    assert not is_pending(tail, CONFIG, WANTED)
    assert choose(replace(tail, quiet_s=POLISH_S / 2), CONFIG, WANTED) is Sealing.NOTHING
    assert choose(replace(tail, tail=100), CONFIG, WANTED) is Sealing.NOTHING


def test_without_a_tail_there_is_nothing_to_polish_however_long_the_rest() -> None:
    assert choose(replace(SEALED, quiet_s=inf), CONFIG, WANTED) is Sealing.NOTHING


def test_a_collection_at_rest_comes_to_have_no_tail() -> None:
    assert choose(replace(SEALED, tail=1, quiet_s=0.9 * 600), CONFIG, WANTED) is Sealing.NOTHING
    assert choose(replace(SEALED, tail=1, quiet_s=1.1 * 600), CONFIG, WANTED) is Sealing.EXTEND


def test_short_rests_between_writes_save_a_graph_once_a_minute_or_when_it_is_worth_it() -> None:
    def saved_in_an_hour(rows: int) -> list[int]:
        facts, saved = replace(SEALED, covered=320_000, covered_built=320_000, quiet_s=POLISH_S), list[int]()
        for _ in range(0, 3600, 5):  # Some rows, and a rest that is just long enough.
            facts = replace(facts, tail=facts.tail + rows, polished_s=facts.polished_s + 5)
            if choose(facts, OTHER, WANTED) is Sealing.EXTEND:
                saved.append(facts.tail)
                covered = facts.covered + facts.tail
                facts = replace(facts, tail=0, covered=covered, covered_built=covered, polished_s=0.0)
        return saved

    few, many = saved_in_an_hour(100), saved_in_an_hour(2000)
    assert 15 < len(few) < 25  # A percent is there every three minutes.
    assert min(many[1:]) > TAIL_POLISH_AGAIN * 320_000  # Two percent are there in 15 s.


def test_writes_that_go_on_put_a_build_off_but_not_for_ever() -> None:
    busy = replace(FRESH, tail=2 * THRESHOLD, quiet_s=0)
    assert choose(busy, CONFIG, WANTED) is Sealing.NOTHING
    assert is_pending(busy, CONFIG, WANTED)
    assert choose(replace(busy, quiet_s=QUIET_S), CONFIG, WANTED) is Sealing.BUILD
    assert choose(replace(busy, waiting_s=WAIT_S), CONFIG, WANTED) is Sealing.BUILD
    assert choose(replace(busy, tail=TAIL_EAGER * THRESHOLD), CONFIG, WANTED) is Sealing.BUILD


def test_without_links_the_graph_is_dropped_at_once() -> None:
    unlinked = Wanted(GraphParams(0, 100))
    assert choose(replace(SEALED, quiet_s=0), CONFIG, unlinked) is Sealing.DROP
    assert choose(replace(FRESH, tail=10 * THRESHOLD), CONFIG, unlinked) is Sealing.NOTHING


def test_threshold_of_zero_builds_nothing_and_keeps_what_there_is() -> None:
    for facts in (replace(FRESH, tail=10**6), replace(SEALED, tail=10**6), replace(SEALED, covered=1)):
        assert choose(facts, OFF, WANTED) is Sealing.NOTHING


def test_a_vectors_own_settings_come_before_the_collections() -> None:
    vector = VectorParams(4, Distance.DOT, hnsw_config=HnswConfig(m=8, full_scan_threshold=7))
    config = CollectionConfig(vectors={"": vector, "plain": VectorParams(4, Distance.DOT)}, hnsw_config=HNSW_DEFAULT)
    assert wanted_of(config, vector).params == GraphParams(8, 100)
    assert wanted_of(config, config.vectors["plain"]).params == GraphParams(16, 100)
    assert full_scan_points(config, "") == 7 * 1024 // 16
    assert full_scan_points(config, "plain") == 10_000 * 1024 // 16


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (ScalarQuantization(), ScalarCodes()),
        (ScalarQuantization(quantile=0.99), ScalarCodes(0.99)),
        *((ProductQuantization(each), ProductCodes(int(each.value[1:]))) for each in Compression),
        (BinaryQuantization(), BitCodes(1)),
        (BinaryQuantization(BinaryEncoding.TWO_BITS), BitCodes(2)),
        (BinaryQuantization(BinaryEncoding.ONE_AND_HALF_BITS), BitCodes(2)),
        (TurboQuantization(), BitCodes(4)),
        (TurboQuantization(TurboBits.BITS8), BitCodes(8)),
    ],
)
def test_quantization_names_its_codes(settings: Quantization, kind: CodeKind) -> None:
    vector = VectorParams(64, Distance.COSINE)
    config = CollectionConfig(vectors={"": vector}, quantization_config=settings)
    assert coding_of(config, vector) == Coding(kind, in_memory=False)
    own = replace(vector, quantization_config=ScalarQuantization(0.9, always_ram=True))
    assert coding_of(config, own) == Coding(ScalarCodes(0.9), in_memory=True)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (BinaryQuantization(), 8),
        (BinaryQuantization(query_encoding=BinaryQueryEncoding.DEFAULT), 8),
        (BinaryQuantization(query_encoding=BinaryQueryEncoding.BINARY), 1),
        (BinaryQuantization(BinaryEncoding.ONE_BIT, BinaryQueryEncoding.SCALAR4BITS), 4),
        (BinaryQuantization(query_encoding=BinaryQueryEncoding.SCALAR8BITS), 8),
        (BinaryQuantization(BinaryEncoding.TWO_BITS, BinaryQueryEncoding.BINARY), 8),
        (TurboQuantization(TurboBits.BITS1), 8),
    ],
)
def test_a_query_is_rounded_only_for_single_bits(settings: Quantization, expected: int) -> None:
    coding = coding_of(CollectionConfig(quantization_config=settings), VectorParams(64, Distance.COSINE))
    assert coding is not None
    assert coding.query_bits == expected


def test_placement_of_codes_comes_from_memory_then_from_always_ram() -> None:
    vector = VectorParams(64, Distance.COSINE)
    for settings, expected in (
        (ScalarQuantization(always_ram=True), True),
        (ScalarQuantization(always_ram=True, memory=Memory.COLD), False),
        (ScalarQuantization(memory=Memory.PINNED), True),
    ):
        coding = coding_of(CollectionConfig(quantization_config=settings), vector)
        assert coding is not None
        assert coding.in_memory is expected


def test_some_vectors_have_no_codes() -> None:
    config = CollectionConfig(quantization_config=ScalarQuantization())
    assert coding_of(CollectionConfig(), VectorParams(4, Distance.DOT)) is None
    assert coding_of(config, VectorParams(4, Distance.MANHATTAN)) is None
    assert coding_of(config, VectorParams(4, Distance.DOT, datatype=Datatype.UINT8)) is None
