"""The two versions: of this package, and of Qdrant's API as clients see it."""

__version__ = "0.1.0"

API_VERSION = "1.20.0"
"""Reported by ``GET /`` and HealthCheck; clients warn when their own minor version is further away than one."""

TITLE = "qdrant - vector search engine"
"""What clients expect to have reached."""
