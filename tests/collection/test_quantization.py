"""Codes beside graphs: learned with them, kept as files, used as a search says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from qdrantlite.collection import graph_files
from qdrantlite.plan import estimate
from qdrantlite.query import search as s
from qdrantlite.segment import sealed
from qdrantlite.segment.vector_index.quantized import BitCodes, ProductCodes, ScalarCodes
from qdrantlite.storage import file_names
from qdrantlite.values.schema import (
    BinaryQuantization,
    CollectionUpdate,
    Compression,
    ProductQuantization,
    Quantization,
    QuantizationDisabled,
    ScalarQuantization,
    TurboQuantization,
)
from tests.collection.tended import (
    CONFIG,
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
        assert_finds(target, rows)
        assert len(graph_names(tmp_path / "c", "codes-")) == 1
    reopened = open_in(tmp_path / "c", config)
    assert status(reopened) == (GREEN, ROWS, 2)
    assert reopened.shard.state.dense[""].sealed[0].coding is not None
    assert_finds(reopened, rows)
    put(reopened, vectors(120, seed=3), first=ROWS)
    tend(reopened)
    assert status(reopened) == (GREEN, ROWS + 120, 2)
    assert_finds(reopened, np.concatenate((rows, vectors(120, seed=3))))
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
            assert_finds(target, rows)
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
    assert_finds(reopened, rows)
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
            [point for point, _ in ask(target, query, params=s.SearchParams(hnsw_ef=ROWS, quantization=given))]
            for given in (s.QuantizationParams(oversampling=1.0), s.QuantizationParams(oversampling=30.0))
        )
        assert many == expected
        assert len(set(few) & set(expected)) < 10


def test_manifest_tells_every_kind_of_codes(tmp_path: Path) -> None:
    saved = graph_files.SavedFile("graph-1.faiss", 7)
    kinds = (None, ScalarCodes(0.9), ScalarCodes(), ProductCodes(16), BitCodes(2))
    segments = tuple(
        graph_files.SavedSegment(
            number,
            saved,
            None if kind is None else saved,
            3,
            20,
            sealed.GraphParams(16, 100),
            None if kind is None else sealed.Coding(kind, in_memory=True),
        )
        for number, kind in enumerate(kinds)
    )
    graph_files.write_manifest(segments, folder=tmp_path, files=FILES)
    assert graph_files.read_manifest(folder=tmp_path, files=FILES) == segments
