"""A tour of qdrantlite: 5,000 Debian packages, four kinds of vector, and every way to combine them in one query.

``make demo`` runs it. It starts a server of its own on free ports with a temporary folder, talks to it through the
official ``qdrant-client``, restarts it in the end to show that the data stays, and stops it whatever happens. Every
answer is checked; the exit code is 0 only if all of them were right.
"""

import argparse
import gzip
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from server_process import running_server

from qdrantlite.text import bm25

DATA = Path(__file__).parent / "debian-packages"
PACKAGES = "packages"  # the collection searched
SEARCHES = "searches"  # a second one, which holds nothing but vectors of searches
BATCH = 500

console = Console(width=None if sys.stdout.isatty() else 132)


class WrongAnswer(Exception):
    """The server answered, but not what it should."""


def expect(right: bool, complaint: str) -> None:
    if not right:
        raise WrongAnswer(complaint)


# ---------------------------------------------------------------------------------------------------------------- data


@dataclass(frozen=True, slots=True)
class Vectors:
    """Row i belongs to text i; its token vectors are rows ``bounds[i]`` to ``bounds[i + 1]`` of ``tokens``."""

    dense: NDArray[np.float32]
    byte: NDArray[np.uint8]
    tokens: NDArray[np.float32]
    bounds: NDArray[np.int32]

    def tokens_of(self, row: int) -> list[list[float]]:
        rows: list[list[float]] = self.tokens[self.bounds[row] : self.bounds[row + 1]].tolist()
        return rows


def read_vectors(name: str) -> Vectors:
    with np.load(DATA / name) as arrays:
        return Vectors(
            dense=arrays["dense"].astype(np.float32),
            byte=arrays["byte"],
            tokens=arrays["tokens"].astype(np.float32),
            bounds=arrays["token_offsets"],
        )


def read_packages() -> list[dict[str, Any]]:
    with gzip.open(DATA / "packages.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@dataclass(frozen=True, slots=True)
class Demo:
    """What the queries need: a client, and forty searches as texts and as vectors."""

    client: QdrantClient
    texts: list[str]
    searches: Vectors
    liked: int  # id of a package to find others like it
    in_memory: bool = False

    def text(self, text: str, *, query: bool = True) -> models.Document | models.SparseVector:
        """A text that the server turns into a BM25 vector; the client's memory mode cannot, so it gets the vector."""
        if not self.in_memory:
            return models.Document(text=text, model="qdrant/bm25")
        indices, values = bm25.embed_query(text) if query else bm25.embed_document(text)
        return models.SparseVector(indices=indices.tolist(), values=values.tolist())

    def query(self, **request: Any) -> list[models.ScoredPoint]:
        return self.client.query_points(PACKAGES, limit=5, with_payload=True, **request).points


# ------------------------------------------------------------------------------------------------------------- loading


def create_collections(client: QdrantClient) -> None:
    client.create_collection(
        PACKAGES,
        vectors_config={
            "dense": models.VectorParams(size=384, distance=models.Distance.COSINE),
            "byte": models.VectorParams(size=64, distance=models.Distance.COSINE, datatype=models.Datatype.UINT8),
            "tokens": models.VectorParams(
                size=32,
                distance=models.Distance.COSINE,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
        },
        sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    client.create_payload_index(PACKAGES, "section", models.PayloadSchemaType.KEYWORD)
    client.create_payload_index(PACKAGES, "installed_size_kib", models.PayloadSchemaType.INTEGER)
    client.create_collection(
        SEARCHES, vectors_config={"text": models.VectorParams(size=384, distance=models.Distance.COSINE)}
    )


def load(demo: Demo, packages: list[dict[str, Any]], vectors: Vectors) -> None:
    columns = (TextColumn("loading"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    started = time.perf_counter()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(packages))
        for first in range(0, len(packages), BATCH):
            rows = range(first, min(first + BATCH, len(packages)))
            points = [
                models.PointStruct(
                    id=row,
                    payload=packages[row],
                    vector={
                        "dense": vectors.dense[row].tolist(),
                        "byte": vectors.byte[row].tolist(),
                        "tokens": vectors.tokens_of(row),
                        "bm25": demo.text(packages[row]["description"], query=False),
                    },
                )
                for row in rows
            ]
            demo.client.upsert(PACKAGES, points, wait=True)  # answered when it is safely on the disk
            progress.advance(task, len(points))
    seconds = time.perf_counter() - started
    console.print(f"{len(packages)} packages in {seconds:.1f} s, {len(packages) / seconds:,.0f} a second\n")
    searches = [
        models.PointStruct(id=row, vector={"text": dense.tolist()}) for row, dense in enumerate(demo.searches.dense)
    ]
    demo.client.upsert(SEARCHES, searches, wait=True)


# ------------------------------------------------------------------------------------------------------------- queries


def payload_of(hit: models.ScoredPoint) -> dict[str, Any]:
    return hit.payload or {}


def in_section(section: str) -> models.Filter:
    return models.Filter(must=[models.FieldCondition(key="section", match=models.MatchValue(value=section))])


def dense_search(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return demo.query(query=demo.searches.dense[row].tolist(), using="dense")


def bm25_search(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return demo.query(query=demo.text(demo.texts[row]), using="bm25")


def fused(demo: Demo, row: int, fusion: models.Fusion) -> list[models.ScoredPoint]:
    return demo.query(
        prefetch=[
            models.Prefetch(query=demo.searches.dense[row].tolist(), using="dense", limit=50),
            models.Prefetch(query=demo.text(demo.texts[row]), using="bm25", limit=50),
        ],
        query=models.FusionQuery(fusion=fusion),
    )


def rrf(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return fused(demo, row, models.Fusion.RRF)


def dbsf(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return fused(demo, row, models.Fusion.DBSF)


def byte_then_dense(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return demo.query(
        prefetch=models.Prefetch(query=demo.searches.byte[row].tolist(), using="byte", limit=1000),
        query=demo.searches.dense[row].tolist(),
        using="dense",
    )


def dense_then_tokens(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return demo.query(
        prefetch=models.Prefetch(query=demo.searches.dense[row].tolist(), using="dense", limit=100),
        query=demo.searches.tokens_of(row),
        using="tokens",
    )


def byte_then_dense_then_tokens(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return demo.query(
        prefetch=models.Prefetch(
            prefetch=models.Prefetch(query=demo.searches.byte[row].tolist(), using="byte", limit=1000),
            query=demo.searches.dense[row].tolist(),
            using="dense",
            limit=100,
        ),
        query=demo.searches.tokens_of(row),
        using="tokens",
    )


def by_id(demo: Demo, _row: int) -> list[models.ScoredPoint]:
    return demo.query(query=demo.liked, using="dense")


def looked_up(demo: Demo, row: int) -> list[models.ScoredPoint]:
    return demo.query(query=row, using="dense", lookup_from=models.LookupLocation(collection=SEARCHES, vector="text"))


def smallest_of_two_sections(demo: Demo, row: int) -> list[models.ScoredPoint]:
    dense = demo.searches.dense[row].tolist()
    return demo.query(
        prefetch=[
            models.Prefetch(query=dense, using="dense", filter=in_section("games"), limit=10),
            models.Prefetch(query=dense, using="dense", filter=in_section("education"), limit=10),
        ],
        query=models.OrderByQuery(order_by=models.OrderBy(key="installed_size_kib")),
    )


def grouped_by_section(demo: Demo, row: int) -> list[models.ScoredPoint]:
    groups = demo.client.query_points_groups(
        PACKAGES,
        group_by="section",
        query=demo.searches.dense[row].tolist(),
        using="dense",
        limit=4,
        group_size=2,
        with_payload=True,
    ).groups
    expect(len(groups) == 4, f"{len(groups)} groups instead of 4")
    for group in groups:
        expect(all(payload_of(hit)["section"] == group.id for hit in group.hits), f"group {group.id} holds others")
    return [hit for group in groups for hit in group.hits]


# -------------------------------------------------------------------------------------------------------------- checks


def check_dense(demo: Demo, row: int, hits: list[models.ScoredPoint]) -> None:
    """The search is exact: the same as comparing with every package by hand."""
    dense = read_vectors("vectors.npz").dense
    scores = (dense / np.linalg.norm(dense, axis=1, keepdims=True)) @ demo.searches.dense[row]
    best = np.argsort(-scores)[: len(hits)]
    expect([hit.id for hit in hits] == best.tolist(), "not the nearest packages")
    expect(np.allclose([hit.score for hit in hits], scores[best], atol=1e-3), "not their similarities")


def check_words(demo: Demo, row: int, hits: list[models.ScoredPoint]) -> None:
    wanted = set(bm25.embed_query(demo.texts[row])[0].tolist())
    for hit in hits:
        expect(bool(wanted & set(bm25.embed_query(payload_of(hit)["description"])[0].tolist())), "a hit shares no word")


def check_not_itself(demo: Demo, _row: int, hits: list[models.ScoredPoint]) -> None:
    expect(demo.liked not in [hit.id for hit in hits], "the package was found by itself")


def check_same_as_dense(demo: Demo, row: int, hits: list[models.ScoredPoint]) -> None:
    expect([hit.id for hit in hits] == [hit.id for hit in dense_search(demo, row)], "differs from the dense search")


def check_sizes(_demo: Demo, _row: int, hits: list[models.ScoredPoint]) -> None:
    sizes = [payload_of(hit)["installed_size_kib"] for hit in hits]
    expect(sizes == sorted(sizes), "not ordered by installed size")
    expect({payload_of(hit)["section"] for hit in hits} <= {"games", "education"}, "a package of another section")


def check_nothing_more(_demo: Demo, _row: int, _hits: list[models.ScoredPoint]) -> None:
    """What every answer must be is enough."""


Hits = list[models.ScoredPoint]
# Title, query, number of the search in queries.json, and what must hold for its answer beyond ``check_answer``.
STOPS: list[tuple[str, Callable[[Demo, int], Hits], int, Callable[[Demo, int, Hits], None]]] = [
    ("Dense vectors: nearest by meaning", dense_search, 0, check_dense),
    ("BM25: the server turns the text into a sparse vector", bm25_search, 2, check_words),
    ("Dense and BM25 fused by rank (RRF)", rrf, 2, check_nothing_more),
    ("Dense and BM25 fused by score (DBSF)", dbsf, 2, check_nothing_more),
    ("Two stages: 1000 by byte vector → dense", byte_then_dense, 7, check_nothing_more),
    ("Two stages: 100 by dense → token vectors (MaxSim)", dense_then_tokens, 5, check_nothing_more),
    ("Three stages: 1000 by byte → 100 by dense → tokens", byte_then_dense_then_tokens, 5, check_nothing_more),
    ("Packages like gnuchess: query by point id", by_id, 0, check_not_itself),
    ("The vector of another collection (lookup_from)", looked_up, 23, check_same_as_dense),
    ("Nearest games and education, smallest first", smallest_of_two_sections, 10, check_sizes),
    ("Two best of each of four sections (groups)", grouped_by_section, 34, check_nothing_more),
]


def check_answer(hits: Hits, *, by_score: bool) -> None:
    expect(len(hits) > 0, "no hits")
    expect(len({hit.id for hit in hits}) == len(hits), "a package twice")
    scores = [hit.score for hit in hits]
    expect(bool(np.isfinite(scores).all()), "a score is not a number")
    expect(not by_score or scores == sorted(scores, reverse=True), "not ordered by score")


def show(title: str, text: str, hits: Hits, milliseconds: float) -> None:
    table = Table(title=f"{title} · {milliseconds:.1f} ms", caption=f"“{text}”", title_justify="left", expand=True)
    table.add_column("score", justify="right", width=7)
    table.add_column("package", style="bold", width=24, no_wrap=True)
    table.add_column("section", width=12, no_wrap=True)
    table.add_column("KiB", justify="right", width=8)
    table.add_column("description", no_wrap=True, ratio=1)
    for hit in hits:
        package = payload_of(hit)
        size = f"{package['installed_size_kib']:,}"
        table.add_row(f"{hit.score:.4f}", package["name"], package["section"], size, package["description"])
    console.print(table, "")


def run_tour(demo: Demo, *, visible: bool) -> list[list[tuple[Any, float]]]:
    """Ids and scores of every answer. The clock runs for the query alone, not for its checks."""
    answers = []
    for title, query, row, check in STOPS:
        started = time.perf_counter()
        hits = query(demo, row)
        milliseconds = (time.perf_counter() - started) * 1000
        if visible:
            show(title, demo.texts[row], hits, milliseconds)
        try:
            check_answer(hits, by_score=query not in (smallest_of_two_sections, grouped_by_section))
            check(demo, row, hits)
        except WrongAnswer as wrong:
            raise WrongAnswer(f"{title}: {wrong}") from None
        answers.append([(hit.id, hit.score) for hit in hits])
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--in-memory", action="store_true", help=argparse.SUPPRESS)  # the client alone, for comparison
    in_memory = parser.parse_args().in_memory
    packages, vectors, searches = read_packages(), read_vectors("vectors.npz"), read_vectors("query_vectors.npz")
    texts = json.loads((DATA / "queries.json").read_text("utf-8"))
    liked = [package["name"] for package in packages].index("gnuchess")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends too

    if in_memory:
        demo = Demo(QdrantClient(":memory:"), texts, searches, liked, in_memory=True)
        create_collections(demo.client)
        load(demo, packages, vectors)
        run_tour(demo, visible=True)
        return

    with tempfile.TemporaryDirectory(prefix="qdrantlite-demo-") as name:
        with running_server(Path(name), console) as client:
            demo = Demo(client, texts, searches, liked)
            create_collections(client)
            load(demo, packages, vectors)
            before = run_tour(demo, visible=True)
        console.rule("the server stops and starts again on the same folder")
        with running_server(Path(name), console) as client:
            count = client.count(PACKAGES, exact=True).count
            expect(count == len(packages), f"{count} packages after the restart")
            after = run_tour(Demo(client, texts, searches, liked), visible=False)
            for (title, *_), old, new in zip(STOPS, before, after, strict=True):
                expect([hit[0] for hit in old] == [hit[0] for hit in new], f"{title}: other packages after the restart")
                same = np.allclose([hit[1] for hit in old], [hit[1] for hit in new], rtol=1e-6)
                expect(same, f"{title}: other scores after the restart")
            console.print(f"all {count} packages are there, all {len(after)} answers are the same")


if __name__ == "__main__":
    try:
        main()
    except WrongAnswer as wrong:
        raise SystemExit(f"wrong answer: {wrong}") from None
