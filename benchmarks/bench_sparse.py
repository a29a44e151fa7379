"""Sparse search beside the reference engine on the same vectors in one run.

    python -m benchmarks.bench_sparse [--data FOLDER] [--documents 1000000] [--engine-documents 200000] [--queries 60]

*Packages*: BM25 vectors of package records with the ``idf`` modifier, queries of 30 terms put together from four
records; ``FOLDER`` (or QDRANTLITE_BENCH_DATA) holds ``packages.jsonl.gz``, else the sample of 5,000 is used.
*Synthetic*: 100 entries a document, terms by Zipf's law out of 30,000, weights at random; queries of 10 and 30 terms
drawn by the same law. The reference engine needs a minute for every 200,000 of them; where it gets fewer documents than
we do, both are asked on that number too. Both are asked as they are once writes have settled, after as many other
queries. One thread, top 10, no two queries alike; under *1 %* each query has another selection of one point in a
hundred.
"""

import argparse
import gzip
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import qdrant_edge as edge

from benchmarks.measure import SAMPLE, show
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.sparse import SparseIndex, SparseView
from qdrantlite.text.bm25 import embed_document
from qdrantlite.values.vector import SparseVector

LIMIT = 10
ENTRIES, TERMS = 100, 30_000
CHUNK = 5_000


def packages(folder: Path) -> list[SparseVector]:
    """BM25 vectors of names, descriptions and tags."""
    with gzip.open(folder / "packages.jsonl.gz", "rt") as lines:
        records = [json.loads(line) for line in lines]
    texts = [" ".join([each["name"], each["description"], *(each.get("tags") or ())]) for each in records]
    return [SparseVector(*embed_document(text)) for text in texts]


def synthetic(count: int, chance: np.random.Generator) -> Iterator[list[SparseVector]]:
    """Chunks of documents whose terms follow Zipf's law."""
    law = np.cumsum(1 / np.arange(1, TERMS + 1))
    law /= law[-1]
    for at in range(0, count, CHUNK):
        drawn = np.searchsorted(law, chance.random((min(CHUNK, count - at), 3 * ENTRIES))).astype(np.uint32)
        chunk = []
        for row in drawn:
            terms, first = np.unique(row, return_index=True)
            terms = np.sort(terms[np.argsort(first)[:ENTRIES]])
            chunk.append(SparseVector(terms, chance.random(len(terms), dtype=np.float32)))
        yield chunk


def zipf_queries(count: int, terms: int, chance: np.random.Generator) -> list[SparseVector]:
    """Terms drawn by the law of the documents."""
    law = 1 / np.arange(1, TERMS + 1)
    law /= law.sum()
    drawn = [np.sort(chance.choice(TERMS, terms, replace=False, p=law)).astype(np.uint32) for _ in range(count)]
    return [SparseVector(each, chance.random(terms, dtype=np.float32) + np.float32(0.1)) for each in drawn]


def package_queries(count: int, documents: Sequence[SparseVector], chance: np.random.Generator) -> list[SparseVector]:
    """Thirty terms of four records, each with weight 1."""
    queries = []
    for _ in range(count):
        terms = np.unique(np.concatenate([documents[i].indices for i in chance.integers(0, len(documents), 4)]))
        terms = np.sort(chance.permutation(terms)[:30])
        queries.append(SparseVector(terms, np.ones(len(terms), dtype=np.float32)))
    return queries


class Theirs:
    """The reference engine with one sparse vector."""

    def __init__(self, folder: str, *, idf: bool) -> None:
        params = edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf if idf else None)
        self.shard = edge.EdgeShard.create(folder, edge.EdgeConfig(vectors={}, sparse_vectors={"s": params}))
        self.count = 0

    def add(self, documents: Sequence[SparseVector]) -> None:
        """Documents with the next ids."""
        points = [
            edge.Point(self.count + at, {"s": edge.SparseVector(each.indices.tolist(), each.weights.tolist())}, {})
            for at, each in enumerate(documents)
        ]
        self.shard.update(edge.UpdateOperation.upsert_points(points))
        self.count += len(documents)

    def asker(self, queries: Sequence[SparseVector]) -> Callable[[int], list[int]]:
        """Answers a query by its number."""
        requests = [
            edge.QueryRequest(
                limit=LIMIT,
                query=edge.Query.Nearest(edge.SparseVector(q.indices.tolist(), q.weights.tolist()), using="s"),
            )
            for q in queries
        ]
        return lambda at: [hit.id for hit in self.shard.query(requests[at])]


def ours(
    view: SparseView, queries: Sequence[SparseVector], selections: Sequence[Selection], *, idf: bool
) -> Callable[[int], list[int]]:
    """Answers a query by its number."""
    live = selections[0]

    def ask(at: int) -> list[int]:
        query = queries[at]
        if idf:
            query = SparseVector(query.indices, query.weights * view.idf(query.indices, live))
        found: list[int] = view.search(query, selection=selections[at % len(selections)], limit=LIMIT)[0].tolist()
        return found

    return ask


def settled(index: SparseIndex) -> SparseView:
    """The index as upkeep leaves it."""
    return index.settled().view()


def times_ms(ask: Callable[[int], object], count: int) -> list[float]:
    """Of the second half of ``count`` queries, each once, after the first half."""
    for at in range(count // 2):
        ask(at)
    times = []
    for at in range(count // 2, count):
        started = time.perf_counter()
        ask(at)
        times.append(1000 * (time.perf_counter() - started))
    return times


def rows_of(
    name: str, view: SparseView, count: int, queries: Sequence[SparseVector], theirs: Theirs | None, *, idf: bool
) -> Iterator[list[str]]:
    """One line for everything, one for 1 %."""
    everything = [Selection.of_range(0, count)]
    ask = ours(view, queries, everything, idf=idf)
    mine, other, agreeing = times_ms(ask, len(queries)), "-", "-"
    if theirs is not None and theirs.count == count:
        ask_them = theirs.asker(queries)
        their_ms = times_ms(ask_them, len(queries))
        other = f"{median(their_ms):.2f} / {max(their_ms):.2f}"
        same = [len(set(ask(at)) & set(ask_them(at))) / LIMIT for at in range(len(queries))]
        agreeing = f"{np.mean(same):.3f}"
    yield [name, f"{median(mine):.2f} / {max(mine):.2f}", other, agreeing]
    chance = np.random.default_rng(9)
    few = [
        Selection.from_offsets(chance.choice(count, max(1, count // 100), replace=False).astype(np.uint32))
        for _ in queries
    ]
    filtered = times_ms(ours(view, queries, few, idf=False), len(queries))
    yield [f"{name}, 1 %", f"{median(filtered):.2f} / {max(filtered):.2f}", "-", "-"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("QDRANTLITE_BENCH_DATA", SAMPLE)))
    parser.add_argument("--documents", type=int, default=200_000)
    parser.add_argument("--engine-documents", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    chance = np.random.default_rng(1)
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        documents = packages(options.data)
        (Path(folder) / "p").mkdir()
        theirs, index = Theirs(f"{folder}/p", idf=True), SparseIndex()
        for at in range(0, len(documents), CHUNK):
            chunk = documents[at : at + CHUNK]
            theirs.add(chunk)
            index = index.with_points(np.arange(at, at + len(chunk), dtype=np.uint32), chunk)
        theirs.shard.optimize()
        queries = package_queries(options.queries, documents, chance)
        rows += rows_of(
            f"packages, {len(documents)}, 30 terms", settled(index), len(documents), queries, theirs, idf=True
        )
    with tempfile.TemporaryDirectory() as folder:
        theirs, index, count = Theirs(folder, idf=False), SparseIndex(), 0
        stops = sorted({min(options.documents, options.engine_documents), options.documents})
        for chunk in synthetic(options.documents, chance):
            index = index.with_points(np.arange(count, count + len(chunk), dtype=np.uint32), chunk)
            count += len(chunk)
            if count <= options.engine_documents:
                theirs.add(chunk)
            if count in stops:
                theirs.shard.optimize()
                for terms in (10, 30):
                    queries = zipf_queries(options.queries, terms, chance)
                    name = f"synthetic, {count}, {terms} terms"
                    rows += rows_of(name, settled(index), count, queries, theirs, idf=False)
    show("milliseconds of a query, median / worst", ("", "ours", "reference engine", "hits shared"), rows)


if __name__ == "__main__":
    main()
