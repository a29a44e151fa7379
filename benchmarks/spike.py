"""The least a server can do: gRPC in, a FAISS graph, ids and scores out. What all else is measured against.

    python -m benchmarks.spike INDEX_FILE EF

Prints its port, answers ``Points/Query`` and ``Points/QueryBatch`` with plain dense queries, ends with its input.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import faiss
import grpc
import numpy as np

from qdrantlite.wire.pb import points as pb

THREADS = 8


def main() -> None:
    """Serves until standard input closes."""
    index = faiss.read_index(sys.argv[1])
    parameters = faiss.SearchParametersHNSW(efSearch=int(sys.argv[2]))

    def results(queries: list[np.ndarray], limit: int) -> list[list[pb.ScoredPoint]]:
        faiss.omp_set_num_threads(1 if len(queries) == 1 else os.cpu_count() or 1)
        scores, ids = index.search(np.stack(queries), limit, params=parameters)
        return [
            [pb.ScoredPoint(id={"num": i}, score=s) for i, s in zip(found, near, strict=True)]
            for found, near in zip(ids.tolist(), scores.tolist(), strict=True)
        ]

    def vector(request: pb.QueryPoints) -> np.ndarray:
        return np.array(request.query.nearest.dense.data, dtype=np.float32)

    def query(request: pb.QueryPoints, _: grpc.ServicerContext) -> pb.QueryResponse:
        return pb.QueryResponse(result=results([vector(request)], request.limit)[0])

    def query_batch(request: pb.QueryBatchPoints, _: grpc.ServicerContext) -> pb.QueryBatchResponse:
        asked = list(request.query_points)
        found = results([vector(each) for each in asked], asked[0].limit)
        return pb.QueryBatchResponse(result=[pb.BatchResult(result=hits) for hits in found])

    def handler(work: object, request: type, response: type) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(work, request.FromString, response.SerializeToString)

    server = grpc.server(ThreadPoolExecutor(THREADS), options=[("grpc.max_receive_message_length", -1)])
    methods = {
        "Query": handler(query, pb.QueryPoints, pb.QueryResponse),
        "QueryBatch": handler(query_batch, pb.QueryBatchPoints, pb.QueryBatchResponse),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("qdrant.Points", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
