"""What each quantization recalls and costs along one graph, beside the reference engine's.

    python -m benchmarks.bench_quantization [--rows 50000] [--dim 128] [--ef 100] [--queries 200] [--engine]

Recall of 10 and milliseconds of one query on one thread, below the planner: *unasked* as a search without parameters
has it, *estimated* with ``rescore: false``, *x4* and *x20* with ``rescore: true`` and that oversampling.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from benchmarks.clustered import clustered
from benchmarks.measure import show
from qdrantlite.segment import sealed
from qdrantlite.segment.sealed import Coding, GraphParams, Refinement
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.quantized import BitCodes, CodeKind, ProductCodes, ScalarCodes
from qdrantlite.values.distance import Distance

LIMIT = 10
M, EF_CONSTRUCT = 16, 100
REPEATS = 3
ASKED = {
    "unasked": Refinement(),
    "estimated": Refinement(rescored=False),
    "x4": Refinement(rescored=True, oversampling=4.0),
    "x20": Refinement(rescored=True, oversampling=20.0),
}
OURS: dict[str, tuple[CodeKind, int]] = {
    "int8": (ScalarCodes(), 8),
    "int8, quantile 0.99": (ScalarCodes(0.99), 8),
    "product x8": (ProductCodes(8), 8),
    "product x16": (ProductCodes(16), 8),
    "1 bit, query 1 bit": (BitCodes(1), 1),
    "1 bit, query 4 bits": (BitCodes(1), 4),
    "1 bit, query 8 bits": (BitCodes(1), 8),
    "1 bit, query of floats": (BitCodes(1), 0),
    "2 bits": (BitCodes(2), 8),
    "4 bits": (BitCodes(4), 8),
    "8 bits": (BitCodes(8), 8),
}
ENCODING, QUERY = edge.BinaryQuantizationEncoding, edge.BinaryQuantizationQueryEncoding
THEIRS: dict[str, Any] = {
    "plain": None,
    "int8": edge.ScalarQuantizationConfig(edge.ScalarType.Int8, None, True),
    "int8, quantile 0.99": edge.ScalarQuantizationConfig(edge.ScalarType.Int8, 0.99, True),
    "product x8": edge.ProductQuantizationConfig(edge.CompressionRatio.X8, True),
    "product x16": edge.ProductQuantizationConfig(edge.CompressionRatio.X16, True),
    "binary 1 bit": edge.BinaryQuantizationConfig(True),
    "binary 1 bit, query 4 bits": edge.BinaryQuantizationConfig(True, ENCODING.OneBit, QUERY.Scalar4Bits),
    "binary 1 bit, query 8 bits": edge.BinaryQuantizationConfig(True, ENCODING.OneBit, QUERY.Scalar8Bits),
    "binary 1.5 bits": edge.BinaryQuantizationConfig(True, ENCODING.OneAndHalfBits),
    "binary 2 bits": edge.BinaryQuantizationConfig(True, ENCODING.TwoBits),
    **{
        f"turbo {bits}": edge.TurboQuantQuantizationConfig(always_ram=True, bits=getattr(edge.TurboQuantBitSize, bits))
        for bits in ("Bits1", "Bits1_5", "Bits2", "Bits4", "Bits8")
    },
}

Floats = NDArray[np.float32]
Found = Callable[[Floats], set[int]]


def cell(find: Found, queries: Floats, truth: list[set[int]]) -> str:
    """Recall and the milliseconds of a query, the best of a few rounds."""
    rounds_s, hits = [], 0
    for _ in range(REPEATS):
        started = time.perf_counter()
        found = [find(query) for query in queries]
        rounds_s.append(time.perf_counter() - started)
        hits = sum(len(each & best) for each, best in zip(found, truth, strict=True))
    return f"{hits / (LIMIT * len(queries)):.3f} {1000 * min(rounds_s) / len(queries):6.3f}"


def our_rows(rows: Floats, queries: Floats, truth: list[set[int]], ef: int) -> list[list[str]]:
    """Lines of the table."""
    plain = sealed.seal(
        *(rows, Selection.of_range(0, len(rows))),
        distance=Distance.COSINE,
        params=GraphParams(M, EF_CONSTRUCT),
        threads=2,
    )

    def line(name: str, segment: sealed.SealedSegment, code_bytes: int) -> list[str]:
        cells = []
        for refinement in ASKED.values():

            def find(query: Floats, refinement: Refinement = refinement) -> set[int]:
                offsets, _ = segment.walk(query[None], limit=LIMIT, ef=ef, passing=None, refinement=refinement)
                return set(offsets[0].tolist())

            cells.append(cell(find, queries, truth))
        return [name, str(code_bytes), *cells]

    table = [line("plain", plain, rows.shape[1] * 4)]
    for name, (kind, query_bits) in OURS.items():
        coded = sealed.encode(plain, Coding(kind, in_memory=True, query_bits=query_bits), threads=2)
        assert coded.coded is not None
        table.append(line(name, coded, coded.coded.codes.index.sa_code_size()))
    return table


def their_rows(rows: Floats, queries: Floats, truth: list[set[int]], ef: int) -> list[list[str]]:
    """Lines of the table."""
    table = []
    for name, config in THEIRS.items():
        with tempfile.TemporaryDirectory() as folder:
            shard = edge.EdgeShard.create(
                str(Path(folder)),
                edge.EdgeConfig(
                    vectors={
                        "": edge.EdgeVectorParams(rows.shape[1], edge.Distance.Cosine, quantization_config=config)
                    },
                    hnsw_config=edge.HnswIndexConfig(m=M, ef_construct=EF_CONSTRUCT, full_scan_threshold=10_000),
                    optimizers=edge.EdgeOptimizersConfig(indexing_threshold=1000, default_segment_number=1),
                ),
            )
            for at in range(0, len(rows), 1000):
                points = [edge.Point(at + i, row.tolist(), {}) for i, row in enumerate(rows[at : at + 1000])]
                shard.update(edge.UpdateOperation.upsert_points(points))
            shard.optimize()
            line = [name, "-"]
            for asked in ASKED.values():
                given = edge.QuantizationSearchParams(rescore=asked.rescored, oversampling=asked.oversampling)
                params = edge.SearchParams(hnsw_ef=ef, quantization=given)

                def find(query: Floats, shard: Any = shard, params: Any = params) -> set[int]:
                    nearest = edge.Query.Nearest(query.tolist())
                    return {int(hit.id) for hit in shard.query(edge.QueryRequest(LIMIT, query=nearest, params=params))}

                line.append(cell(find, queries, truth))
            table.append(line)
            shard.close()
    return table


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--ef", type=int, default=100)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--engine", action="store_true")
    given = parser.parse_args()
    everything, _ = clustered(given.rows + given.queries, given.dim)
    rows, queries = everything[: given.rows], everything[given.rows :]
    best = np.argsort(-(queries @ rows.T), axis=1, kind="stable")[:, :LIMIT]
    truth = [set(each.tolist()) for each in best]
    show("ours", ["codes", "bytes", *ASKED], our_rows(rows, queries, truth, given.ef))
    if given.engine:
        show("qdrant-edge-py", ["codes", "bytes", *ASKED], their_rows(rows, queries, truth, given.ef))


if __name__ == "__main__":
    main()
