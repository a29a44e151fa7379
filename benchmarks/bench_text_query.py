"""What ranking by the words of a text index costs, beside the same words as a sparse vector and the reference engine.

    python -m benchmarks.bench_text_query [--points 300000] [--engine]

Texts of 20 words by how often they are said (``bench_filters``), queries of three words, no two alike; the best ten. In
process, one thread; milliseconds of the processor, so that other work on the machine does not count.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence

import numpy as np
import qdrant_edge as edge

from benchmarks.bench_filters import BATCH, Field, built, rare, text
from benchmarks.measure import show
from qdrantlite.deadline import FOREVER
from qdrantlite.segment.payload_index.index import PayloadIndex
from qdrantlite.segment.payload_index.text_scores import TextScores
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse import SparseIndex, SparseView
from qdrantlite.text.bm25 import Saturation, embed_document, embed_query
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams
from qdrantlite.values.vector import SparseVector

ASKED, LIMIT = 200, 10
FIELD = Field(FieldIndex(FieldKind.TEXT, FieldParams(scoring="bm25")), lambda chance: text(chance, 20), {})


def ranking(index: PayloadIndex, chosen: Selection, live: Selection) -> Callable[[str], int]:
    """A query over the text index, from its words on; none is asked for twice."""
    scores: TextScores = index.texts()

    def ask(said: str) -> int:
        words = tuple(dict.fromkeys(said.split()))
        known = scores.corpus(words, live)
        saturation = Saturation(1.2, 0.75, known.average)
        found = scores.search(words, known.rarities(), saturation, selection=chosen, limit=LIMIT, ask=FOREVER.check)
        return len(found[0])

    return ask


def adding(view: SparseView, chosen: Selection, live: Selection) -> Callable[[str], int]:
    """The same over a sparse vector with IDF."""

    def ask(said: str) -> int:
        indices, weights = embed_query(said)
        weighted = SparseVector(indices, weights * view.idf(indices, live))
        return len(view.search(weighted, selection=chosen, limit=LIMIT)[0])

    return ask


def asking(shard: edge.EdgeShard) -> Callable[[str], int]:
    """The same of the engine."""
    return lambda said: len(shard.query(edge.QueryRequest(limit=LIMIT, query=edge.TextQuery("k", said))))


def told(name: str, ask: Callable[[str], int], asked: Sequence[str]) -> list[str]:
    """A row."""
    spent = []
    for said in asked:
        started = time.process_time()
        ask(said)
        spent.append(1000 * (time.process_time() - started))
    return [name, f"{np.median(spent):.2f}", f"{np.quantile(spent, 0.9):.2f}"]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=300_000)
    parser.add_argument("--engine", action="store_true")
    given = parser.parse_args()
    chance = random.Random(3)
    texts = [str(FIELD.value(chance)) for _ in range(given.points)]
    index, rate = built(FIELD, texts)
    sparse = SparseIndex()
    for start in range(0, given.points, BATCH):
        vectors = [SparseVector(*embed_document(each)) for each in texts[start : start + BATCH]]
        sparse = sparse.with_points(np.arange(start, start + len(vectors), dtype=np.uint32), vectors)
    view = sparse.settled().view()
    live = Selection.of_range(0, given.points)
    few = Selection.from_offsets(np.arange(0, given.points, 100, dtype=np.uint32))
    rows: list[list[str]] = []
    kinds: dict[str, Callable[[], str]] = {
        "frequent": lambda: text(chance, 3),
        "rare": lambda: f"{rare(chance)} {rare(chance)} w1",
    }
    for kind, said in kinds.items():
        asked = list({said(): None for _ in range(ASKED)})
        third = len(asked) // 3
        rows.append(told(f"text index, {kind} words", ranking(index, live, live), asked[:third]))
        rows.append(told(f"text index, {kind} words, 1 % pass", ranking(index, few, live), asked[third : 2 * third]))
        rows.append(told(f"sparse vector, {kind} words", adding(view, live, live), asked[2 * third :]))
    if given.engine:
        with tempfile.TemporaryDirectory() as folder:
            shard = edge.EdgeShard.create(
                folder, edge.EdgeConfig(vectors={"v": edge.EdgeVectorParams(1, edge.Distance.Dot)})
            )
            shard.update(edge.UpdateOperation.create_field_index("k", edge.TextIndexParams(scoring=True)))
            for start in range(0, given.points, BATCH):
                said_there = enumerate(texts[start : start + BATCH], start=start)
                points = [edge.Point(at, {"v": [1.0]}, {"k": each}) for at, each in said_there]
                shard.update(edge.UpdateOperation.upsert_points(points))
            rows.append(told("engine, frequent words", asking(shard), [kinds["frequent"]() for _ in range(60)]))
            rows.append(told("engine, rare words", asking(shard), [kinds["rare"]() for _ in range(60)]))
    show(f"{given.points:,} texts, {rate:,.0f} a second taken up", ["query", "median ms", "90 % within ms"], rows)


if __name__ == "__main__":
    main()
