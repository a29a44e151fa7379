"""Refusals that Qdrant makes only once it has found the collection: who names one that does not exist is told that.

They are known while a request is decoded, where nothing is known of collections; so they leave it as ``OnceFound``,
and what wraps every call asks here what to tell.
"""

from qdrantlite.errors import InvalidRequest, NotFound
from qdrantlite.wire.engine import Engine


class OnceFound(InvalidRequest):
    """``refusal`` is what to tell if the collection is there, and so is ``other``, that of a lookup."""

    def __init__(self, refusal: InvalidRequest, *, other: str | None = None) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal
        self.other = other

    @property
    def message(self) -> str:
        """That of the refusal."""
        return self.refusal.message


def told(error: OnceFound, engine: Engine, collection: str) -> InvalidRequest:
    """The refusal of a request to ``collection``. Raises NotFound where that, or the other one, is not there."""
    engine.cluster_info(collection)
    if error.other is not None and not engine.collection_exists(error.other):
        raise NotFound(f"Collection {error.other} not found")
    return error.refusal
