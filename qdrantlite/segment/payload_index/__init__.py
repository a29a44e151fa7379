"""Payload indexes: which offsets hold a value, one module per kind, all over the sorted runs of ``segment/runs.py``."""
