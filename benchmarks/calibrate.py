"""Measures the scans and prints the constants of ``qdrantlite/plan/estimate.py``, to be pasted there.

    python -m benchmarks.calibrate [--rows 60000]

Each constant is the slope or the intercept of a line through processor times of one query on one core. Only the ratios
matter.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.clustered import clustered
from qdrantlite.segment import sealed
from qdrantlite.segment.dense import DenseView
from qdrantlite.segment.sealed import GraphParams
from qdrantlite.segment.selection import Selection
from qdrantlite.values.distance import Datatype, Distance

RUNS = 15
DIMS = (96, 384)
DTYPES = {4: np.float32, 2: np.float16, 1: np.uint8}


def micros(work: Callable[[], object]) -> float:
    """Processor time in microseconds: the lower quartile, so that what else the machine does counts little."""
    times = []
    for _ in range(RUNS):
        started = time.thread_time_ns()
        work()
        times.append(time.thread_time_ns() - started)
    return sorted(times)[RUNS // 4] / 1000


def line(xs: list[float], ys: list[float]) -> tuple[float, float]:
    """Intercept and slope of relative least squares, so that the small times count too."""
    weights = 1 / np.array(ys)
    slope, intercept = np.polyfit(xs, ys, 1, w=weights)
    return float(intercept), float(slope)


def view_of(rows: NDArray[np.generic]) -> DenseView:
    """Rows without a graph."""
    return DenseView(rows, Distance.DOT, Datatype.FLOAT32, None, (), verify=lambda _: None)  # type: ignore[arg-type] # any of the three types


def scans(rows: NDArray[np.float32], query: NDArray[np.float32]) -> tuple[float, float]:
    """Opening a scan, and a component."""
    counts = [len(rows) // share for share in (30, 8, 2, 1)]
    times = [micros(lambda count=count: view_of(rows[:count]).scan(query, limit=10)) for count in counts]  # type: ignore[misc] # bound by default
    return line([float(count * rows.shape[1]) for count in counts], times)


def masked(rows: NDArray[np.float32], query: NDArray[np.float32], component_us: float) -> tuple[float, float]:
    """What a mask adds: at opening, and for each row asked about."""
    counts, times = [len(rows) // share for share in (30, 8, 2, 1)], []
    for count in counts:
        passing = Selection.from_offsets(np.arange(0, count, 3, dtype=np.uint32))
        compared = len(passing) * rows.shape[1] * component_us
        view = view_of(rows[:count])
        times.append(
            micros(lambda view=view, passing=passing: view.scan(query, limit=10, selection=passing)) - compared
        )  # type: ignore[misc] # bound by default
    return line([float(count) for count in counts], times)


def subsets(rows: NDArray[np.generic], query: NDArray[np.float32]) -> tuple[float, float]:
    """Opening a subset scan, and a component."""
    chance, view, xs, ys = np.random.default_rng(3), view_of(rows), [], []
    for count in (100, 500, 2000, 6000):
        chosen = np.sort(chance.choice(len(rows), count, replace=False)).astype(np.uint32)
        xs.append(float(count * rows.shape[1]))
        ys.append(micros(lambda chosen=chosen: view.subset(query, chosen, limit=10)))  # type: ignore[misc] # bound by default
    return line(xs, ys)


def customs(rows: NDArray[np.float32], queries: NDArray[np.float32]) -> tuple[float, float]:
    """A component of a point scored by its similarities, and what each example adds."""
    offsets, counts = np.arange(len(rows), dtype=np.uint32), (1, 3, 8, 16)
    times = []
    for count in counts:
        examples = np.ascontiguousarray(queries[:count])
        times.append(micros(lambda examples=examples: view_of(rows).similarities(examples, offsets)))  # type: ignore[misc] # bound by default
    component_us, example_us = line([float(count) for count in counts], [each / rows.size for each in times])
    return component_us, example_us


def walks(rows: NDArray[np.float32], queries: NDArray[np.float32]) -> tuple[float, float]:
    """Opening a walk, and a candidate of the beam; over many queries, so that rows come from everywhere."""
    segment = sealed.seal(
        rows, Selection.of_range(0, len(rows)), distance=Distance.DOT, params=GraphParams(16, 100), threads=2
    )
    view = DenseView(rows, Distance.DOT, Datatype.FLOAT32, None, (segment,), verify=lambda _: None)
    beams, times = (32, 128, 512, 1024), []
    for beam in beams:
        times.append(
            micros(lambda beam=beam: [view.walk(query, limit=10, ef=beam) for query in queries]) / len(queries)  # type: ignore[misc] # bound by default
        )
    return line([float(beam) for beam in beams], times)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=60_000)
    count = parser.parse_args().rows
    lines: dict[str, list[float]] = {}
    candidates = {}
    for dim in DIMS:
        everything = clustered(count + 50, dim)[0]
        rows, queries = np.ascontiguousarray(everything[:count]), everything[count:]
        scan_us, component_us = scans(rows, queries[0])
        mask_us, mask_row_us = masked(rows, queries[0], component_us)
        lines.setdefault("SCAN_US", []).append(scan_us)
        lines.setdefault("SCAN_COMPONENT_US", []).append(component_us)
        lines.setdefault("MASK_US", []).append(mask_us - scan_us)
        lines.setdefault("MASK_ROW_US", []).append(mask_row_us)
        custom_us, example_us = customs(rows, queries)
        lines.setdefault("CUSTOM_COMPONENT_US", []).append(custom_us)
        lines.setdefault("CUSTOM_EXAMPLE_US", []).append(example_us)
        for size, dtype in DTYPES.items():
            stored = (rows * 100 + 100 if size == 1 else rows).astype(dtype)
            subset_us, chosen_us = subsets(stored, queries[0])
            lines.setdefault(f"SUBSET_COMPONENT_US[{size}]", []).append(chosen_us)
            if size == 4:
                lines.setdefault("SUBSET_US", []).append(subset_us)
        graph_us, candidates[dim] = walks(rows, queries)
        lines.setdefault("GRAPH_US", []).append(graph_us)
    step_us, component_us = line([float(dim) for dim in DIMS], [candidates[dim] for dim in DIMS])
    lines["GRAPH_STEP_US"] = [step_us]
    lines["GRAPH_COMPONENT_US"] = [component_us]
    for name, values in lines.items():
        print(f"{name} = {np.mean(values):.3g}   # {', '.join(f'{value:.3g}' for value in values)}")


if __name__ == "__main__":
    main()
