"""What settings in kilobytes mean in points and rows. Pure."""

from qdrantlite.values.schema import CollectionConfig


def full_scan_points(config: CollectionConfig, name: str) -> int:
    """Points up to which a filtered search of a vector compares all that pass: a setting in KB of float32 rows."""
    vector = config.vectors[name]
    own = None if vector.hnsw_config is None else vector.hnsw_config.full_scan_threshold
    kilobytes = config.hnsw_config.full_scan_threshold if own is None else own
    return 0 if kilobytes is None else kilobytes * 1024 // (4 * vector.size)


def threshold_rows(config: CollectionConfig, facts_row_bytes: int) -> int | None:
    """Rows from which a tail wants a graph; None when indexing is switched off."""
    threshold_kb = config.optimizer_config.indexing_threshold
    if threshold_kb is None or threshold_kb == 0:
        return None
    return max(1, threshold_kb * 1024 // facts_row_bytes)
