"""The two versions: of this package, and of Qdrant's API as clients see it."""

from hashlib import sha1

__version__ = "0.1.0"

COMMIT = sha1(f"qdrantlite {__version__}".encode(), usedforsecurity=False).hexdigest()
"""Forty digits that stand for this version, where clients expect a revision: a package does not know that of its
sources."""

API_VERSION = "1.20.0"
"""Reported by ``GET /`` and HealthCheck; clients warn when their own minor version is further away than one."""

TITLE = "qdrant - vector search engine"
"""What clients expect to have reached."""
