"""The files of sealed segments: graphs and codes, named by a manifest with their checksums.

Derived data: a file that is missing or damaged reads as absent. A file's name is never used twice, so that whatever
ends the process while one is written, the manifest still names what it named before; files it does not name are
garbage and removed with the next manifest.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, assert_never
from uuid import uuid4

from qdrantlite.errors import Corrupted, StorageFailed
from qdrantlite.segment import sealed
from qdrantlite.segment.sealed import Coding, GraphParams, SealedSegment
from qdrantlite.segment.selection import Selection
from qdrantlite.segment.vector_index.quantized import BitCodes, CodeKind, ProductCodes, ScalarCodes
from qdrantlite.segment.vector_index.row_encoding import Rows
from qdrantlite.storage import file_names
from qdrantlite.storage.checkpoint import read_derived, write_derived
from qdrantlite.storage.files import Files, checksum
from qdrantlite.values.distance import Distance

logger = logging.getLogger(__name__)

FORMAT_VERSION = 2
MANIFEST = "graphs.ckpt"
PREFIXES = ("graph-", "codes-")


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file in the folder of derived data and the CRC-32 of its bytes."""

    name: str
    crc: int


@dataclass(frozen=True, slots=True)
class SavedSegment:
    """What the manifest tells of one vector's segment; ``vector_id`` as the point store numbers it."""

    vector_id: int
    graph: SavedFile
    codes: SavedFile | None
    first: int
    linked: int
    params: GraphParams
    coding: Coding | None
    pruned: int = 0


def new_path(folder: Path, kind: Literal["graph", "codes"], vector_id: int) -> Path:
    """Where the next file of a kind goes; the name has never been used."""
    return folder / f"{kind}-{vector_id}-{uuid4().hex}.faiss"


def keep(path: Path, *, files: Files) -> SavedFile:
    """Gives the file written at ``file_names.temporary(path)`` its name, durably. Raises StorageFailed.

    What is read back for the checksum comes from memory still.
    """
    temporary = file_names.temporary(path)
    file = files.open(temporary, create=False)
    try:
        file.sync()
    finally:
        file.close()
    files.replace(temporary, path)
    files.sync_directory(path.parent)
    return SavedFile(path.name, _crc(path, files))


def is_there(saved: SavedSegment, *, folder: Path, files: Files) -> bool:
    """Whether the file of the graph was not removed."""
    return files.exists(folder / saved.graph.name)


def load(
    saved: SavedSegment, *, rows: Rows, present: Selection, distance: Distance, folder: Path, files: Files
) -> SealedSegment | None:
    """Maps a saved segment over its rows; None when its graph is missing or damaged. Damaged codes are left out."""
    if not _is_whole(folder, saved.graph, files):
        return None
    try:
        segment = sealed.load(
            folder / saved.graph.name,
            rows,
            present,
            first=saved.first,
            distance=distance,
            params=saved.params,
            linked=saved.linked,
            pruned=saved.pruned,
        )
    except Corrupted as error:
        logger.warning("%s; it will be built again", error.report)
        return None
    if saved.coding is None or saved.codes is None or not _is_whole(folder, saved.codes, files):
        return segment
    try:
        return sealed.load_codes(segment, folder / saved.codes.name, saved.coding)
    except Corrupted as error:
        logger.warning("%s; they will be learned again", error.report)
        return segment


def write_manifest(segments: Sequence[SavedSegment], *, folder: Path, files: Files) -> None:
    """Names the files in use, durably, then removes all others of their kind. Raises StorageFailed."""
    entries = [_entry(segment) for segment in segments]
    write_derived(
        folder / MANIFEST,
        format_version=FORMAT_VERSION,
        covers_seq=0,
        parts=[("graphs", json.dumps(entries).encode())],
        files=files,
    )
    used = {file.name for segment in segments for file in (segment.graph, segment.codes) if file is not None}
    for name in files.names(folder):
        if name.startswith(PREFIXES) and name not in used:
            files.remove(folder / name)


def forget_manifest(*, folder: Path, files: Files) -> None:
    """Removes the manifest, durably, which takes no room on a full disk: every graph is built again. Raises
    StorageFailed.
    """
    files.remove(folder / MANIFEST)
    files.sync_directory(folder)


def read_manifest(*, folder: Path, files: Files) -> tuple[SavedSegment, ...]:
    """What was in use last; nothing when the manifest is missing or damaged."""
    found = read_derived(folder / MANIFEST, format_version=FORMAT_VERSION, files=files)
    if found is None:
        return ()
    return tuple(_segment(entry) for entry in json.loads(bytes(found.parts["graphs"])))


def _is_whole(folder: Path, saved: SavedFile, files: Files) -> bool:
    path = folder / saved.name
    try:
        return files.exists(path) and _crc(path, files) == saved.crc
    except (StorageFailed, OSError):
        return False


def _crc(path: Path, files: Files) -> int:
    """CRC-32 of a file's bytes."""
    file = files.open(path, create=False)
    try:
        return checksum(file)
    finally:
        file.close()


def _entry(saved: SavedSegment) -> dict[str, object]:
    coding = saved.coding
    return {
        "vector_id": saved.vector_id,
        "graph": [saved.graph.name, saved.graph.crc],
        "codes": None if saved.codes is None else [saved.codes.name, saved.codes.crc],
        "first": saved.first,
        "linked": saved.linked,
        "pruned": saved.pruned,
        "params": [saved.params.m, saved.params.ef_construct],
        "coding": None if coding is None else [*_kind_entry(coding.kind), coding.in_memory, coding.query_bits],
    }


def _segment(entry: dict[str, Any]) -> SavedSegment:
    coding = entry["coding"]
    return SavedSegment(
        entry["vector_id"],
        SavedFile(*entry["graph"]),
        None if entry["codes"] is None else SavedFile(*entry["codes"]),
        entry["first"],
        entry["linked"],
        GraphParams(*entry["params"]),
        None if coding is None else Coding(_kind(coding[0], coding[1]), *coding[2:]),
        entry.get("pruned", 0),  # Before graphs were pruned, nothing told of it.
    )


def _kind_entry(kind: CodeKind) -> tuple[str, float | int | None]:
    match kind:
        case ScalarCodes(quantile):
            return "scalar", quantile
        case ProductCodes(ratio):
            return "product", ratio
        case BitCodes(bits):
            return "bits", bits
        case _:
            assert_never(kind)


def _kind(name: str, number: Any) -> CodeKind:
    match name:
        case "scalar":
            return ScalarCodes(number)
        case "product":
            return ProductCodes(number)
        case _:
            return BitCodes(number)
