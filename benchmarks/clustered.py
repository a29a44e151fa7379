"""Synthetic vectors like embeddings: clusters of many sizes around directions that themselves lie close together."""

import numpy as np
from numpy.typing import NDArray

POINTS_PER_CLUSTER = 400
SPREAD = 0.9
"""Length of the noise about a centre in centres' lengths: neighbours of a point come from a few clusters."""


def clustered(rows: int, dim: int, *, seed: int = 5) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Unit vectors ``(rows, dim)`` in random order, and the cluster of each."""
    chance = np.random.default_rng(seed)
    clusters = max(2, rows // POINTS_PER_CLUSTER)
    bases = chance.standard_normal((dim // 4, dim), dtype=np.float32)
    centres = chance.standard_normal((clusters, dim // 4), dtype=np.float32) @ bases / np.float32(np.sqrt(dim // 4))
    weights = chance.pareto(2.0, clusters) + 0.2
    cluster = chance.choice(clusters, rows, p=weights / weights.sum()).astype(np.int32)
    vectors = np.empty((rows, dim), dtype=np.float32)
    for at in range(0, rows, 65_536):
        part = cluster[at : at + 65_536]
        noise = chance.standard_normal((len(part), dim // 4), dtype=np.float32) @ bases / np.float32(np.sqrt(dim // 4))
        vectors[at : at + 65_536] = centres[part] + np.float32(SPREAD) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, cluster
