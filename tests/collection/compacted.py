"""Collections with dead rows and the moments of their compaction, for tests; no thread of the database tends them."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from time import sleep
from unittest.mock import patch

from qdrantlite.collection import threads
from qdrantlite.collection.shard import vacating
from qdrantlite.collection.upkeep import compaction, reclaiming, shard_copy, vacuum
from qdrantlite.database import Database
from qdrantlite.query import operation as o
from qdrantlite.query.filter import Condition, HasVector
from qdrantlite.storage import file_names
from qdrantlite.storage.vacant import size_of
from qdrantlite.values.schema import OPTIMIZERS_DEFAULT
from tests.collection.small import (
    CONFIG,
    INTEGER,
    KEYWORD,
    NAME,
    answers,
    collection_of,
    color,
    contents,
    dense,
    ids,
    multi,
    opened,
    point,
    size,
    sparse,
    upsert,
    write,
)

SETTINGS = replace(CONFIG, optimizer_config=replace(OPTIMIZERS_DEFAULT, vacuum_min_vector_number=20))
CONDITIONS: tuple[Condition, ...] = (
    *(color("red"), color("green"), color("blue"), size(1), size(9)),
    *(HasVector(""), HasVector("many"), HasVector("words")),
)


@contextmanager
def untended() -> Iterator[None]:
    """Databases opened here compact when told to, however small they are, a few points at a time; by copying, as where
    files have no holes.
    """
    with (
        patch.object(threads, "OPTIMIZE_S", 3600.0),
        patch.object(threads, "MAINTENANCE_S", 3600.0),
        patch.object(vacuum, "WORTH_BYTES", 0),
        patch.object(compaction, "can_vacate", lambda _: False),
        patch.object(compaction, "BACKLOG_SMALL", 0),
        patch.object(shard_copy, "CHUNK_POINTS_MAX", 7),
    ):
        yield


@contextmanager
def in_place() -> Iterator[None]:
    """As ``untended``, but what is dead is given back in place, whatever the share of offsets that are vacant."""
    with (
        untended(),
        patch.object(compaction, "can_vacate", vacating.can_vacate),
        patch.object(vacuum, "OFFSETS_MAX", 1 << 40),
        patch.object(vacuum, "STRETCHES", 8),
        patch.object(reclaiming, "ROUND_SHARE", 0.3),
        patch.object(reclaiming, "MOVED_POINTS_MAX", 2),
    ):
        yield


def worn(folder: Path) -> Database:
    """Forty points of every kind and as many dead rows; two indexes; a vector name whose id is not its rank."""
    database = opened(folder, SETTINGS)
    database.alter(NAME, o.DeleteVectorName("words"))
    database.alter(NAME, o.CreateVectorName("words", SETTINGS.sparse_vectors["words"]))
    database.alter(NAME, o.CreateFieldIndex("color", KEYWORD))
    database.alter(NAME, o.CreateFieldIndex("size", INTEGER))
    for _ in range(2):
        write(database, upsert(*(point(n, color="red" if n % 2 else "green", size=n % 3) for n in range(44))))
    change(database)
    return database


def scattered(folder: Path) -> Database:
    """As ``worn``, with living points among the dead."""
    database = worn(folder)
    write(database, o.DeletePoints(ids(*range(9, 44, 3))))
    return database


def change(database: Database) -> None:
    """Touches points of every fate."""
    write(database, upsert(point(1, color="green", size=9), point(50, color="red"), point(51, size=1)))
    write(database, o.DeletePoints(ids(2, 50, 41, 42)), o.DeleteVectors(ids(3), ("", "words")))
    write(database, o.SetPayload({"color": "blue"}, ids(5)), o.ClearPayload(ids(7)))
    write(database, o.UpdateVectors((o.VectorsWrite(4, {"words": sparse(i7=3), "many": multi((5, 5))}),)))
    write(database, o.DeleteVectors(ids(6), ("many",)), upsert(point(60, {}, size=1), point(61, {"": dense(2, 2)})))


def seen(database: Database) -> object:
    """Everything a client can see."""
    return contents(database), answers(database, CONDITIONS)


def seen_but_ties(database: Database) -> object:
    """Everything a client can see, in whatever order hits of one score are."""
    hits, *others = answers(database, CONDITIONS)
    assert isinstance(hits, list)
    return contents(database), [sorted(each, key=lambda hit: (-hit[1], hit[0])) for each in hits], others


def folders(root: Path) -> list[str]:
    """Names of the folders of collections."""
    return sorted(path.name for path in file_names.collections(root).iterdir())


def compact(database: Database, *, between: Callable[[], object] = lambda: None) -> None:
    """Compacts if it is due; ``between`` runs between the steps, except while writers wait."""
    collection = collection_of(database)

    def stop() -> bool:
        if not collection._maintenance_lock.locked():
            between()
        return False

    collection._compactor.step(stop=stop)


def compacted(database: Database, **options: Callable[[], object]) -> bool:
    """Whether ``compact`` led to another shard."""
    before = collection_of(database).shard
    compact(database, **options)
    return collection_of(database).shard is not before


def given_back(database: Database, **options: Callable[[], object]) -> int:
    """How many offsets ``compact`` made vacant, in the shard that there is."""
    shard = collection_of(database).shard
    before = size_of(shard.vacant.offsets)
    compact(database, **options)
    assert collection_of(database).shard is shard
    return size_of(shard.vacant.offsets) - before


def let_go(database: Database) -> None:
    """Ends a database whose disk is gone, without a word to it."""
    database._upkeep.stop()
    database._folder_lock.release()


def end_while_compacted(database: Database, ending: str) -> None:
    """Closes it, the collection deleted before or not, while that gives space back; all of it ends soon."""
    reached = Event()

    def between() -> None:
        reached.set()
        sleep(0.01)

    thread = Thread(target=compact, args=(database,), kwargs={"between": between})
    thread.start()
    assert reached.wait(5)
    if ending == "delete":
        assert database.delete_collection(NAME)
    database.close()
    thread.join(5)
    assert not thread.is_alive()


def killed_after(program: str, folder: Path, turns: int) -> int:
    """Runs a program that prints the number of each turn it has made in a folder, and kills it shortly after one; the
    last that it printed.
    """
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        last = 0
        for line in process.stdout:
            last = int(line)
            if last == turns:
                break
        sleep(turns / 1000)
    finally:
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0]
    return max([last, *map(int, rest.split())])
