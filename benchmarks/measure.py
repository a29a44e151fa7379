"""Ways of measuring that all benchmarks share: median times, tables, data, resident memory."""

import gzip
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

SAMPLE = Path(__file__).parent.parent / "examples" / "debian-packages"
console = Console()


def sample_payloads() -> list[dict[str, object]]:
    """The 5,000 package records."""
    with gzip.open(SAMPLE / "packages.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


def sample_vectors() -> NDArray[np.float32]:
    """Their dense vectors, (5000, 384) float32."""
    vectors: NDArray[np.float32] = np.load(SAMPLE / "vectors.npz")["dense"].astype(np.float32)
    return vectors


def median_ms(work: Callable[[], object], *, runs: int) -> float:
    """Median time of one call in milliseconds."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def resident_mb(pid: int) -> float:
    """Resident memory of a process in MiB."""
    return psutil.Process(pid).memory_info().rss / 2**20


def disk_kib(folder: Path) -> float:
    """Space a folder takes on disk, holes not counted, in KiB."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1024


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on the screen."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def verdict(measured: float, target: float, *, larger_is_better: bool) -> str:
    """Measured against the target as a ratio; the ratio is what counts on a shared machine."""
    ratio = measured / target if larger_is_better else target / measured
    return f"[{'green' if ratio >= 1 else 'red'}]{ratio:.2f} x[/]"
