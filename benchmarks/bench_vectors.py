"""Vector search, every engine in one run on the same data: queries per second with the recall beside each.

    python -m benchmarks.bench_vectors [--data FOLDER] [--ef 128] [--seconds 4]

``FOLDER`` (or QDRANTLITE_BENCH_DATA) holds ``dense.npy`` (n, 384); without it the sample of 5,000 is used, too few for
graphs to matter. 500 rows are held out as queries, whose answers are compared with the true ones; rates are of queries
between two of these, and filters of windows, drawn anew for each. Top 10, cosine, m=16, ef_construct=100. Over gRPC the
server and its 8 clients share the machine. Ratios within a run are what counts.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import TypeVar

import faiss
import grpc
import numpy as np
import qdrant_edge as edge

from benchmarks.buckets import BUCKETS
from benchmarks.grpc_load import UNLIMITED, Clients
from benchmarks.measure import sample_vectors, show
from benchmarks.queries import DRAWN, LIMIT, Asked, Data, Floats
from qdrantlite.database import Database
from qdrantlite.query.search import Search
from qdrantlite.wire.grpc.decode.search import decode_search
from qdrantlite.wire.pb import collections as pbc
from qdrantlite.wire.pb import points as pb
from qdrantlite.wire.pb import qdrant_common as common
from tests.server_process import ServerProcess

BATCH = 100
UPSERTED = 500
ROUNDS = 5
CONNECTIONS = 8
M, EF_CONSTRUCT = 16, 100
FILTERS = (1000, 300, 40, 5)
"""Points in so many buckets pass: 10 %, 3 %, 0.4 %, 0.05 %."""

RESCORED = pb.QuantizationSearchParams(rescore=True)

Row = list[str]
Table = list[Row]
T = TypeVar("T")


def told(row: Row) -> Row:
    """The row, printed as soon as it is known."""
    print(" | ".join(row), flush=True)
    return row


def stored_vectors(folder: str | None) -> Floats:
    """Those of the folder, else the sample."""
    if folder is None:
        return sample_vectors()
    stored: Floats = np.load(Path(folder) / "dense.npy").astype(np.float32)
    return stored


def query_message(vector: Floats, name: str, ef: int, window: range | None = None) -> pb.QueryPoints:
    """One request."""
    message = pb.QueryPoints(
        collection_name=name,
        query=pb.Query(nearest=pb.VectorInput(dense=pb.DenseVector(data=vector.tolist()))),
        limit=LIMIT,
        params=pb.SearchParams(hnsw_ef=ef, quantization=RESCORED if name == "int8" else None),
    )
    if window is not None:
        within = common.Range(gte=window.start, lt=window.stop)
        condition = common.Condition(field=common.FieldCondition(key="bucket", range=within))
        message.filter.CopyFrom(common.Filter(must=[condition]))
    return message


def messages(asked: Asked, name: str, ef: int) -> list[pb.QueryPoints]:
    """One request for each query."""
    return [query_message(vector, name, ef, window) for vector, window in zip(*asked, strict=True)]


def over_grpc(
    clients: Clients, address: str, data: Data, *, name: str, ef: int, seconds: float, width: int | None = None
) -> tuple[float, float]:
    """Single requests per second on all connections, and their recall."""
    checked = data.checked(width)
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary("/qdrant.Points/Query", response_deserializer=pb.QueryResponse.FromString)
        answers = [call(message.SerializeToString()) for message in messages(checked, name, ef)]
    requests = [message.SerializeToString() for message in messages(data.drawn(width), name, ef)]
    rate = clients.per_second(address, "/qdrant.Points/Query", requests, seconds=seconds, once=True)
    return rate, data.recall([[hit.id.num for hit in answer.result] for answer in answers], checked)


def batches(asked: Asked, ef: int) -> list[bytes]:
    """Requests of many queries each."""
    asking = messages(asked, "vectors", ef)
    parts = [asking[at : at + BATCH] for at in range(0, len(asking), BATCH)]
    return [pb.QueryBatchPoints(collection_name="vectors", query_points=part).SerializeToString() for part in parts]


def batches_over_grpc(clients: Clients, address: str, data: Data, *, ef: int, seconds: float) -> tuple[float, float]:
    """Queries per second in batches, and their recall."""
    checked = data.checked()
    with grpc.insecure_channel(address, UNLIMITED) as channel:
        call = channel.unary_unary("/qdrant.Points/QueryBatch", response_deserializer=pb.QueryBatchResponse.FromString)
        answers = [each for request in batches(checked, ef) for each in call(request).result]
    rate = clients.per_second(
        address, "/qdrant.Points/QueryBatch", batches(data.drawn(), ef), seconds=seconds, once=True
    )
    return BATCH * rate, data.recall([[hit.id.num for hit in answer.result] for answer in answers], checked)


def load(address: str, data: Data, name: str, *, int8: bool) -> tuple[float, float]:
    """Creates and fills a collection; points per second acknowledged, and seconds from the first until green."""
    create = pbc.CreateCollection(
        collection_name=name,
        vectors_config=pbc.VectorsConfig(
            params=pbc.VectorParams(size=data.rows.shape[1], distance=pbc.Distance.Value("Cosine"))
        ),
        hnsw_config=pbc.HnswConfigDiff(m=M, ef_construct=EF_CONSTRUCT),
    )
    if int8:
        scalar = pbc.ScalarQuantization(type=pbc.QuantizationType.Value("Int8"), quantile=0.99, always_ram=True)
        create.quantization_config.CopyFrom(pbc.QuantizationConfig(scalar=scalar))
    field = pb.CreateFieldIndexCollection(
        collection_name=name, wait=True, field_name="bucket", field_type=pb.FieldType.Value("FieldTypeInteger")
    )
    requests = [
        pb.UpsertPoints(
            collection_name=name,
            wait=True,
            points=[
                pb.PointStruct(
                    id={"num": number},
                    vectors=pb.Vectors(vector=pb.Vector(dense=pb.DenseVector(data=data.rows[number].tolist()))),
                    payload={"bucket": {"integer_value": int(data.buckets.of[number])}},
                )
                for number in range(at, min(at + UPSERTED, len(data.rows)))
            ],
        ).SerializeToString()
        for at in range(0, len(data.rows), UPSERTED)
    ]
    with grpc.insecure_channel(address, UNLIMITED) as channel, ThreadPoolExecutor(2) as threads:
        channel.unary_unary("/qdrant.Collections/Create")(create.SerializeToString())
        channel.unary_unary("/qdrant.Points/CreateFieldIndex")(field.SerializeToString())
        upsert = channel.unary_unary("/qdrant.Points/Upsert")
        started = time.perf_counter()
        list(threads.map(upsert, requests))
        upserted_s = time.perf_counter() - started
        ask = channel.unary_unary(
            "/qdrant.Collections/Get", response_deserializer=pbc.GetCollectionInfoResponse.FromString
        )
        wanted = pbc.GetCollectionInfoRequest(collection_name=name).SerializeToString()
        while ask(wanted).result.status != pbc.CollectionStatus.Value("Green"):
            time.sleep(0.1)
        return len(data.rows) / upserted_s, time.perf_counter() - started


def rate_of(
    title: str,
    make: Callable[[Floats, range | None], T],
    ask: Callable[[T], list[int]],
    data: Data,
    *,
    seconds: float,
    width: int | None = None,
) -> Row:
    """A line of the table: queries per second of one thread, per second of processor, and their recall. Requests are
    made before they are measured.
    """
    checked = data.checked(width)
    found = [ask(make(*each)) for each in zip(*checked, strict=True)]
    requests = [make(*each) for each in zip(*data.drawn(width), strict=True)]
    made, started, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        ask(requests[made % DRAWN])
        made += 1
    rate, used_rate = made / (time.perf_counter() - started), made / (time.process_time() - used)
    return told([title, f"{rate:,.0f}", f"{used_rate:,.0f}", f"{data.recall(found, checked):.4f}"])


def engine_rates(storage: Path, data: Data, *, ef: int, seconds: float) -> Table:
    """This package without gRPC, from decoded requests to records: one thread, then batches."""
    table = []
    with Database(storage) as database:

        def line(title: str, name: str, seconds: float, width: int | None = None) -> Row:
            def make(vector: Floats, window: range | None) -> Search:
                return decode_search(query_message(vector, name, ef, window))

            def ask(search: Search) -> list[int]:
                return [int(hit.record.id) for hit in database.search(name, search)]

            return rate_of(title, make, ask, data, seconds=seconds, width=width)

        table.append(line("qdrantlite engine, one thread", "vectors", seconds))
        asked = [decode_search(message) for message in messages(data.drawn(), "vectors", ef)]
        parts = cycle([tuple(asked[at : at + BATCH]) for at in range(0, DRAWN, BATCH)])
        started, rounds = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            database.search_batch("vectors", next(parts))
            rounds += 1
        rate = rounds * BATCH / (time.perf_counter() - started)
        table.append(told([f"qdrantlite engine, batches of {BATCH}", f"{rate:,.0f}", "-", "-"]))
        for width in FILTERS:
            title = f"qdrantlite engine, one thread, {width / BUCKETS:.2%} pass"
            table.append(line(title, "vectors", seconds / 2, width))
        table.append(line("qdrantlite engine, int8 rescored, one thread", "int8", seconds))
    return table


def faiss_rates(data: Data, *, ef: int, seconds: float) -> tuple[faiss.Index, float, Table]:
    """FAISS alone: the graph, seconds to build it, and its rates."""
    index = faiss.IndexHNSWFlat(data.rows.shape[1], M, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = EF_CONSTRUCT
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    started = time.perf_counter()
    index.add(data.rows)
    built_s = time.perf_counter() - started
    parameters = faiss.SearchParametersHNSW(efSearch=ef)

    def make(vector: Floats, _: range | None) -> Floats:
        return vector[np.newaxis]

    def ask(vectors: Floats) -> list[int]:
        found: list[int] = index.search(vectors, LIMIT, params=parameters)[1][0].tolist()
        return found

    faiss.omp_set_num_threads(1)
    return index, built_s, [rate_of("FAISS HNSW bare, one thread", make, ask, data, seconds=seconds)]


@contextmanager
def spike(index: faiss.Index, path: Path, *, ef: int) -> Iterator[str]:
    """Serves the graph with nothing between gRPC and FAISS; yields its address."""
    faiss.write_index(index, str(path))
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.spike", str(path), str(ef)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()
        process.wait()


def side_by_side(clients: Clients, ours: str, bare: str, data: Data, *, ef: int, seconds: float) -> Table:
    """Ours and the bare server in turns, medians of all rounds; the third column is the share of the bare rate."""
    asked = {"ef": ef, "seconds": seconds}
    single = f"{CONNECTIONS} connections"
    batches = f"batches of {BATCH}"
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        f"bare gRPC + FAISS, {single}": lambda: over_grpc(clients, bare, data, name="vectors", **asked),
        f"qdrantlite, {single}": lambda: over_grpc(clients, ours, data, name="vectors", **asked),
        f"qdrantlite int8 rescored, {single}": lambda: over_grpc(clients, ours, data, name="int8", **asked),
        f"bare gRPC + FAISS, {batches}": lambda: batches_over_grpc(clients, bare, data, **asked),
        f"qdrantlite, {batches}": lambda: batches_over_grpc(clients, ours, data, **asked),
    }
    found: dict[str, list[tuple[float, float]]] = {title: [] for title in ways}
    for _ in range(ROUNDS):
        for title, measure in ways.items():
            found[title].append(measure())
    table = []
    for title, rounds in found.items():
        rates = [rate for rate, _ in rounds]
        beside = found[f"bare gRPC + FAISS, {title.partition(', ')[2]}"]
        share = median(rate / other for rate, (other, _) in zip(rates, beside, strict=True))
        table.append(told([title, f"{median(rates):,.0f}", f"{share:.2f}", f"{rounds[0][1]:.4f}"]))
    return table


def edge_rates(data: Data, folder: Path, *, ef: int, seconds: float) -> Table:
    """Qdrant's engine in this process, one thread."""
    hnsw = edge.HnswIndexConfig(m=M, ef_construct=EF_CONSTRUCT, full_scan_threshold=10_000)
    config = edge.EdgeConfig(
        vectors={"": edge.EdgeVectorParams(size=data.rows.shape[1], distance=edge.Distance.Cosine)}, hnsw_config=hnsw
    )
    shard = edge.EdgeShard.create(str(folder), config)
    started = time.perf_counter()
    for at in range(0, len(data.rows), UPSERTED):
        numbers = range(at, min(at + UPSERTED, len(data.rows)))
        points = [edge.Point(n, data.rows[n].tolist(), {"bucket": int(data.buckets.of[n])}) for n in numbers]
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.update(edge.UpdateOperation.create_field_index("bucket", edge.PayloadSchemaType.Integer))
    upserted_s = time.perf_counter() - started
    shard.optimize()
    green_s = time.perf_counter() - started

    def make(vector: Floats, window: range | None) -> edge.QueryRequest:
        within = [] if window is None else [edge.RangeFloat(gte=window.start, lt=window.stop)]
        must = [edge.FieldCondition(key="bucket", range=each) for each in within]
        return edge.QueryRequest(
            limit=LIMIT,
            query=edge.Query.Nearest(vector.tolist()),
            filter=edge.Filter(must=must) if must else None,
            params=edge.SearchParams(hnsw_ef=ef),
        )

    def ask(request: edge.QueryRequest) -> list[int]:
        return [hit.id for hit in shard.query(request)]

    table = [rate_of("qdrant-edge-py, one thread", make, ask, data, seconds=seconds)]
    for width in FILTERS:
        few = f"qdrant-edge-py, one thread, {width / BUCKETS:.2%} pass"
        table.append(rate_of(few, make, ask, data, seconds=seconds / 2, width=width))
    table.append(
        told(["qdrant-edge-py, upsert points/s, not durable", f"{len(data.rows) / upserted_s:,.0f}", "-", "-"])
    )
    table.append(told(["qdrant-edge-py, seconds to green", f"{green_s:.1f}", "-", "-"]))
    return table


def main() -> None:
    """Runs and prints."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # As the server has it; read once, when FAISS is loaded. Threads that spin would slow down everything beside.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("QDRANTLITE_BENCH_DATA"))
    parser.add_argument("--ef", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parser.parse_args()
    data = Data(stored_vectors(given.data))
    asked = {"ef": given.ef, "seconds": given.seconds}
    table: Table = []
    index, built_s, faiss_table = faiss_rates(data, **asked)
    with tempfile.TemporaryDirectory() as folder, Clients(CONNECTIONS) as clients:
        storage = Path(folder) / "storage"
        with ServerProcess(storage) as server:
            for name in ("vectors", "int8"):
                upserts, green_s = load(server.address, data, name, int8=name == "int8")
                title = "qdrantlite" if name == "vectors" else "qdrantlite int8"
                table.append(told([f"{title}, upsert points/s, durable", f"{upserts:,.0f}", "-", "-"]))
                table.append(told([f"{title}, seconds to green", f"{green_s:.1f}", "-", "-"]))
            with spike(index, Path(folder) / "spike.faiss", ef=given.ef) as bare:
                table += side_by_side(clients, server.address, bare, data, **asked)
            for width in FILTERS:
                rate, recall = over_grpc(clients, server.address, data, name="vectors", width=width, **asked)
                table.append(told([f"qdrantlite, {width / BUCKETS:.2%} pass", f"{rate:,.0f}", "-", f"{recall:.4f}"]))
        codes = sum(path.stat().st_size for path in storage.rglob("codes-*"))
        if codes:
            table.append(told(["rows / int8 codes, bytes", f"{data.rows.nbytes / codes:.2f}", "-", "-"]))
        table += engine_rates(storage, data, **asked)
        table += faiss_table
        table.append(told(["FAISS HNSW bare, seconds to build", f"{built_s:.1f}", "-", "-"]))
        table += edge_rates(data, Path(folder) / "edge", **asked)
    show(
        f"{len(data.rows):,} x {data.rows.shape[1]}, top {LIMIT}, ef {given.ef}",
        ["what", "per second", "share of bare, or per s of processor", "recall"],
        table,
    )


if __name__ == "__main__":
    main()
