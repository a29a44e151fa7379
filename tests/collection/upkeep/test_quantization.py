"""Codes beside graphs: learned with them, kept as files, used as a search says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdrantlite.collection.collection import Collection
from qdrantlite.collection.upkeep import graph_files
from qdrantlite.deadline import FOREVER
from qdrantlite.plan import estimate
from qdrantlite.query import operation as o
from qdrantlite.query import search as s
from qdrantlite.segment import sealed
from qdrantlite.segment.vector_index import exact
from qdrantlite.segment.vector_index.quantized import BitCodes, CodeKind, ProductCodes, ScalarCodes
from qdrantlite.segment.vector_index.row_encoding import prepare_query, prepare_rows
from qdrantlite.storage import file_names
from qdrantlite.values.distance import Datatype, Distance
from qdrantlite.values.schema import (
    BinaryEncoding,
    BinaryQuantization,
    BinaryQueryEncoding,
    CollectionUpdate,
    Compression,
    ProductQuantization,
    Quantization,
    QuantizationDisabled,
    ScalarQuantization,
    TurboBits,
    TurboQuantization,
    VectorParams,
    VectorParamsDiff,
)
from qdrantlite.values.vector import F32, MultiVector
from tests.collection.tended import (
    CONFIG,
    DIM,
    FILES,
    GREEN,
    ROWS,
    YELLOW,
    ask,
    assert_finds,
    best,
    collection,
    flip,
    graph_names,
    no_build,
    no_collection,
    open_in,
    put,
    status,
    tend,
    vectors,
)

QUANTIZATIONS: tuple[Quantization, ...] = (
    ScalarQuantization(quantile=0.99, always_ram=True),
    ProductQuantization(Compression.X4),
    BinaryQuantization(),
    TurboQuantization(always_ram=True),
)
RESCORED = s.SearchParams(hnsw_ef=ROWS, quantization=s.QuantizationParams(rescore=True))
ESTIMATED = s.SearchParams(hnsw_ef=ROWS, quantization=s.QuantizationParams(rescore=False))


@pytest.fixture(autouse=True)
def graphs_are_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although a scan of so few rows is cheaper."""
    monkeypatch.setattr(estimate, "graph_cost", lambda *_: 0.0)


@pytest.mark.parametrize("settings", QUANTIZATIONS, ids=lambda each: type(each).__name__)
def test_codes_are_built_with_the_graph_and_come_back(tmp_path: Path, settings: Quantization) -> None:
    rows = vectors(ROWS)
    config = replace(CONFIG, quantization_config=settings)
    with collection(tmp_path / "c", config) as target:
        put(target, rows)
        tend(target)
        assert target._optimizer.error is None
        assert_finds(target, rows, params=RESCORED)
        assert len(graph_names(tmp_path / "c", "codes-")) == 1
    reopened = open_in(tmp_path / "c", config)
    assert status(reopened) == (GREEN, ROWS, 2)
    assert reopened.shard.state.dense[""].sealed[0].coding is not None
    assert_finds(reopened, rows, params=RESCORED)
    put(reopened, vectors(120, seed=3), first=ROWS)
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS + 120, 2)
    assert_finds(reopened, np.concatenate((rows, vectors(120, seed=3))), params=RESCORED)
    reopened.close(checkpoint=False)


def test_quantization_can_be_changed_and_taken_away_without_building_the_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c") as target:
        put(target, rows)
        tend(target)
        monkeypatch.setattr(sealed, "seal", no_build)
        graph = graph_names(tmp_path / "c")
        for settings in QUANTIZATIONS:
            target.update_config(CollectionUpdate(quantization_config=settings))
            assert status(target)[0] is YELLOW
            tend(target)
            assert status(target) == (GREEN, ROWS, 2)
            assert target.info().config.quantization_config == settings
            assert_finds(target, rows, params=RESCORED)
            assert len(graph_names(tmp_path / "c", "codes-")) == 1
        target.update_config(CollectionUpdate(quantization_config=QuantizationDisabled()))
        tend(target)
        assert graph_names(tmp_path / "c", "codes-") == []
        assert graph_names(tmp_path / "c") == graph


def test_damaged_codes_are_learned_again_beside_their_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = vectors(ROWS)
    config = replace(CONFIG, quantization_config=ScalarQuantization())
    with collection(tmp_path / "c", config) as target:
        put(target, rows)
        tend(target)
    flip(file_names.derived(tmp_path / "c") / graph_names(tmp_path / "c", "codes-")[0])
    monkeypatch.setattr(sealed, "seal", no_build)
    reopened = open_in(tmp_path / "c", config)
    assert status(reopened) == (YELLOW, ROWS, 2)
    assert_finds(reopened, rows)
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS, 2)
    assert_finds(reopened, rows, params=RESCORED)
    reopened.close(checkpoint=False)


def test_a_search_says_how_codes_are_used(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    config = replace(CONFIG, quantization_config=BinaryQuantization())
    with collection(tmp_path / "c", config) as target:
        put(target, rows)
        tend(target)
        query = vectors(1, seed=9)[0]
        expected = best(rows, query)

        def exact_share(quantization: s.QuantizationParams | None, *, exact: bool = False, ef: int = ROWS) -> float:
            params = s.SearchParams(hnsw_ef=ef, exact=exact, quantization=quantization)
            found = ask(target, query, params=params)
            return float(np.mean([np.isclose(score, rows[point] @ query) for point, score in found]))  # type: ignore[call-overload] # ids are integers here

        assert exact_share(None) == 1
        assert exact_share(s.QuantizationParams(rescore=False)) < 0.5
        assert exact_share(s.QuantizationParams(rescore=False), exact=True) == 1
        assert exact_share(s.QuantizationParams(ignore=True, rescore=False)) == 1
        few, many = (
            [point for point, _ in ask(target, query, params=s.SearchParams(hnsw_ef=11, quantization=given))]
            for given in (s.QuantizationParams(oversampling=1.0), s.QuantizationParams(oversampling=30.0))
        )
        assert many == expected
        assert len(set(few) & set(expected)) < 10


@pytest.mark.parametrize(
    ("settings", "exact"),
    [
        (ScalarQuantization(), False),
        (ProductQuantization(Compression.X4), False),
        (BinaryQuantization(), True),
        (BinaryQuantization(BinaryEncoding.TWO_BITS), True),
        (TurboQuantization(TurboBits.BITS1), True),
        (TurboQuantization(TurboBits.BITS1_5), True),
        (TurboQuantization(TurboBits.BITS2), True),
        (TurboQuantization(), False),
        (TurboQuantization(TurboBits.BITS8), False),
    ],
    ids=repr,
)
def test_scores_are_exact_unasked_only_where_codes_are_coarsest(
    tmp_path: Path, settings: Quantization, exact: bool
) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c", replace(CONFIG, quantization_config=settings)) as target:
        put(target, rows)
        tend(target)
        query = vectors(1, seed=9)[0]
        for group in (None, 1):
            found = ask(target, query, group=group)
            assert len(found) == 10
            assert np.allclose([score for _, score in found], [rows[int(str(i))] @ query for i, _ in found]) == exact


def test_a_query_is_rounded_as_set_and_setting_it_encodes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, query = vectors(ROWS), vectors(1, seed=9)[0]
    with collection(tmp_path / "c", replace(CONFIG, quantization_config=BinaryQuantization())) as target:
        put(target, rows)
        tend(target)
        files = graph_names(tmp_path / "c", "codes-"), graph_names(tmp_path / "c")
        answers = {BinaryQueryEncoding.DEFAULT: ask(target, query, params=ESTIMATED)}
        monkeypatch.setattr(sealed, "encode", no_build)
        for encoding in (
            BinaryQueryEncoding.BINARY,
            BinaryQueryEncoding.SCALAR4BITS,
            BinaryQueryEncoding.SCALAR8BITS,
        ):
            target.update_config(
                CollectionUpdate(quantization_config=BinaryQuantization(query_encoding=encoding, always_ram=True))
            )
            tend(target)
            assert status(target) == (GREEN, ROWS, 2)
            assert (graph_names(tmp_path / "c", "codes-"), graph_names(tmp_path / "c")) == files
            assert_finds(target, rows, params=RESCORED)
            answers[encoding] = ask(target, query, params=ESTIMATED)
        config = target.shard.config
    assert answers[BinaryQueryEncoding.DEFAULT] == answers[BinaryQueryEncoding.SCALAR8BITS]
    assert len({tuple(each) for each in answers.values()}) == 3
    reopened = open_in(tmp_path / "c", config)
    assert status(reopened) == (GREEN, ROWS, 2)
    assert ask(reopened, query, params=ESTIMATED) == answers[BinaryQueryEncoding.SCALAR8BITS]
    reopened.close(checkpoint=False)


def test_codes_that_are_gone_when_they_are_to_be_held_otherwise_are_learned_again(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c", replace(CONFIG, quantization_config=ScalarQuantization())) as target:
        put(target, rows)
        tend(target)
        (gone,) = graph_names(tmp_path / "c", "codes-")
        (file_names.derived(tmp_path / "c") / gone).unlink()
        target.update_config(CollectionUpdate(quantization_config=ScalarQuantization(always_ram=True)))
        assert status(target)[0] is YELLOW
        tend(target)
        assert status(target) == (GREEN, ROWS, 2)
        assert graph_names(tmp_path / "c", "codes-") not in ([], [gone])
        assert_finds(target, rows, params=RESCORED)


def test_a_vectors_own_quantization_comes_before_the_collections(tmp_path: Path) -> None:
    rows = vectors(ROWS)
    with collection(tmp_path / "c", replace(CONFIG, quantization_config=ScalarQuantization())) as target:
        put(target, rows)
        tend(target)

        def kind() -> CodeKind | None:
            coding = target.shard.state.dense[""].sealed[0].coding
            return None if coding is None else coding.kind

        assert kind() == ScalarCodes()
        for own, collections, expected in (
            (BinaryQuantization(), None, BitCodes(1)),
            (None, TurboQuantization(), BitCodes(1)),
            (QuantizationDisabled(), None, BitCodes(4)),
            (None, QuantizationDisabled(), None),
            (ProductQuantization(Compression.X8), None, ProductCodes(8)),
        ):
            diff = None if own is None else {"": VectorParamsDiff(quantization_config=own)}
            target.update_config(CollectionUpdate(vectors=diff or {}, quantization_config=collections))
            tend(target)
            assert kind() == expected
            assert status(target) == (GREEN, ROWS, 2)
            assert_finds(target, rows, params=RESCORED)
        config = target.info().config
        assert config.quantization_config is None
        assert config.vectors[""].quantization_config == ProductQuantization(Compression.X8)


@pytest.mark.parametrize("settings", QUANTIZATIONS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("datatype", [Datatype.FLOAT16, Datatype.UINT8])
@pytest.mark.parametrize("distance", list(Distance))
def test_compact_rows_of_every_distance_are_searched_along_codes(
    tmp_path: Path, settings: Quantization, datatype: Datatype, distance: Distance
) -> None:
    """Manhattan has no codes and is exact; so are bytes under codes of bytes."""
    given = vectors(ROWS) * 40 + 100
    vector = VectorParams(DIM, distance, datatype=datatype)
    config = replace(CONFIG, vectors={"": vector}, quantization_config=settings)
    rows = prepare_rows(given, distance, datatype)
    with collection(tmp_path / "c", config) as target:
        put(target, given)
        tend(target)
        assert target._optimizer.error is None
        assert status(target) == (GREEN, ROWS, 2)
        coded = distance is not Distance.MANHATTAN and not (
            isinstance(settings, ScalarQuantization) and datatype is Datatype.UINT8
        )
        assert len(graph_names(tmp_path / "c", "codes-")) == coded
        for query in vectors(3, seed=9) * 40 + 100:
            prepared = prepare_query(query, distance, datatype)
            offsets, scores = exact.scan(rows, prepared[np.newaxis], distance=distance, limit=10)
            found = ask(target, query, params=None if not coded else RESCORED)
            np.testing.assert_allclose([score for _, score in found], scores[0], rtol=1e-3)
            assert len({i for i, _ in found} & set(offsets[0].tolist())) >= 9


@pytest.mark.parametrize("distance", [Distance.COSINE, Distance.MANHATTAN])
def test_multivectors_are_compared_by_their_rows_whatever_the_quantization(tmp_path: Path, distance: Distance) -> None:
    vector = VectorParams(DIM, distance, multivector=True, quantization_config=BinaryQuantization(always_ram=True))
    config = replace(CONFIG, vectors={"": vector}, quantization_config=ScalarQuantization())
    tokens = vectors(2 * ROWS).reshape(ROWS, 2, DIM)
    with collection(tmp_path / "c", config) as target:
        points = [o.PointWrite(at, {"": MultiVector(each)}, {}) for at, each in enumerate(tokens)]
        target.write((o.Upsert(tuple(points)),), wait=True, deadline=FOREVER)
        before = ask_tokens(target, tokens[7], s.SearchParams())
        tend(target)
        assert status(target)[0] is GREEN
        assert graph_names(tmp_path / "c", "codes-") == []
        for params in (s.SearchParams(), RESCORED, ESTIMATED):
            assert ask_tokens(target, tokens[7], params) == before
        assert before[0][0] == 7


def ask_tokens(target: Collection, rows: F32, params: s.SearchParams) -> list[tuple[object, float]]:
    search = s.Search(s.Prefetch(query=s.Nearest(MultiVector(rows)), limit=10, params=params))
    hits = target.search([search], open_other=lambda name: no_collection(name).open_view(), deadline=FOREVER)[0]
    return [(hit.record.id, hit.score) for hit in hits]


def test_manifest_tells_every_kind_of_codes(tmp_path: Path) -> None:
    saved = graph_files.SavedFile("graph-1.faiss", 7)
    kinds = (None, ScalarCodes(0.9), ScalarCodes(), ProductCodes(16), BitCodes(1), BitCodes(2))
    segments = tuple(
        graph_files.SavedSegment(
            number,
            saved,
            None if kind is None else saved,
            3,
            20,
            sealed.GraphParams(16, 100),
            None if kind is None else sealed.Coding(kind, in_memory=True, query_bits=4 if kind == BitCodes(1) else 8),
        )
        for number, kind in enumerate(kinds)
    )
    graph_files.write_manifest(segments, folder=tmp_path, files=FILES)
    assert graph_files.read_manifest(folder=tmp_path, files=FILES) == segments
