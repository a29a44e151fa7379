"""Clients that ask a gRPC server as fast as it answers: each a process with a connection of its own, kept for all
measurements of a run.
"""

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType

import grpc

WARM_UP = 5
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def serve_orders(orders: Connection) -> None:
    """A client process: told address, method, requests and seconds, it reports how many calls it made."""
    while (order := orders.recv()) is not None:
        address, method, requests, seconds = order
        with grpc.insecure_channel(address, UNLIMITED) as channel:
            call = channel.unary_unary(method)
            for request in requests[:WARM_UP]:
                call(request)
            orders.send("ready")
            orders.recv()
            made, end = 0, time.perf_counter() + seconds
            while time.perf_counter() < end:
                call(requests[made % len(requests)])
                made += 1
        orders.send(made)


class Clients:
    """So many client processes. A context manager that ends them."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(count)]
        self._ends = [ours for ours, _ in pairs]
        self._processes = [context.Process(target=serve_orders, args=(theirs,), daemon=True) for _, theirs in pairs]
        for process in self._processes:
            process.start()

    def per_second(self, address: str, method: str, requests: Sequence[bytes], *, seconds: float) -> float:
        """Calls per second of all clients together, each beginning at another request."""
        for number, end in enumerate(self._ends):
            at = number * len(requests) // len(self._ends)
            end.send((address, method, [*requests[at:], *requests[:at]], seconds))
        for end in self._ends:
            end.recv()
        for end in self._ends:
            end.send("go")
        return sum(end.recv() for end in self._ends) / seconds

    def __enter__(self) -> "Clients":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._ends:
            end.send(None)
        for process in self._processes:
            process.join()
