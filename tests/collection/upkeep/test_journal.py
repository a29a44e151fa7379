"""What upkeep notes of its work."""

from uuid import uuid4

import pytest

from qdrantlite.collection.upkeep.journal import COMPLETED_MAX, Journal
from qdrantlite.errors import StorageFailed
from qdrantlite.values.optimization import Segment

SEGMENT = Segment(uuid4(), 7)


class Stopped(Exception):
    """The work is given up."""


def test_work_is_seen_while_it_runs_and_after_it_has_ended() -> None:
    journal = Journal()
    with journal.entry("indexing", SEGMENT, given_up=Stopped):
        journal.advance(3, 7)
        (running,) = journal.running
        assert (running.segment, running.done, running.total, running.ended_s) == (SEGMENT, 3, 7, None)
        assert not journal.completed
    assert not journal.running
    (done,) = journal.completed
    assert (done.id, done.error, done.done) == (running.id, None, 3)
    assert done.ended_s is not None
    assert done.ended_s >= done.started_s


def test_what_failed_says_why_and_what_was_given_up_is_as_never_begun() -> None:
    journal = Journal()
    for error in (StorageFailed("the disk is full"), Stopped(), KeyError("inner")):
        with pytest.raises(type(error)), journal.entry("vacuum", SEGMENT, given_up=Stopped):
            raise error
    assert not journal.running
    latest, first = journal.completed
    assert "the disk is full" in str(first.error)
    assert latest.error == "Service internal error"


def test_the_latest_come_first_and_the_oldest_go() -> None:
    journal = Journal()
    for number in range(COMPLETED_MAX + 2):
        with journal.entry(str(number), SEGMENT, given_up=Stopped):
            pass
    assert [each.kind for each in journal.completed] == [str(number) for number in range(COMPLETED_MAX + 1, 1, -1)]
