"""Clients that ask a gRPC server as fast as it answers: each a process with a connection of its own, kept for all
measurements of a run.
"""

import multiprocessing
import time
from collections.abc import Sequence
from itertools import cycle
from multiprocessing.connection import Connection
from types import TracebackType

import grpc

WARM_UP = 5
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def serve_orders(orders: Connection) -> None:
    """A client process: told address, method, requests, seconds and whether to ask each once only, it reports how many
    calls it made a second.
    """
    while (order := orders.recv()) is not None:
        address, method, requests, seconds, once = order
        with grpc.insecure_channel(address, UNLIMITED) as channel:
            call = channel.unary_unary(method)
            for request in requests[:WARM_UP]:
                call(request)
            orders.send("ready")
            orders.recv()
            made, started = 0, time.perf_counter()
            for request in requests[WARM_UP:] if once else cycle(requests):
                call(request)
                made += 1
                if time.perf_counter() - started >= seconds:
                    break
            orders.send(made / (time.perf_counter() - started))


class Clients:
    """So many client processes. A context manager that ends them."""

    def __init__(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(count)]
        self._ends = [ours for ours, _ in pairs]
        self._processes = [context.Process(target=serve_orders, args=(theirs,), daemon=True) for _, theirs in pairs]
        for process in self._processes:
            process.start()

    def per_second(
        self, address: str, method: str, requests: Sequence[bytes], *, seconds: float, once: bool = False
    ) -> float:
        """Calls per second of all clients together: each asks all requests over and over, beginning at another one,
        or its part of them ``once``, perhaps for less than the time given.
        """
        for number, end in enumerate(self._ends):
            at = number * len(requests) // len(self._ends)
            own = requests[number :: len(self._ends)] if once else [*requests[at:], *requests[:at]]
            end.send((address, method, own, seconds, once))
        for end in self._ends:
            end.recv()
        for end in self._ends:
            end.send("go")
        return sum(end.recv() for end in self._ends)

    def __enter__(self) -> "Clients":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for end in self._ends:
            end.send(None)
        for process in self._processes:
            process.join()
