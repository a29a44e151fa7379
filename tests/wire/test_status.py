"""Every error has its codes; what is no error of ours is not shown."""

import inspect
import logging

import grpc
import pytest

from qdrantlite import errors
from qdrantlite.errors import QdrantliteError
from qdrantlite.wire.status import INTERNAL, STATUS, failure_of

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, QdrantliteError) and kind is not QdrantliteError
]


def test_every_class_of_the_hierarchy_has_a_row() -> None:
    assert set(STATUS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_docstring_of_the_hierarchy_tells_the_same_codes(kind: type[QdrantliteError]) -> None:
    status = STATUS[kind]
    (line,) = [line for line in (errors.__doc__ or "").splitlines() if line.strip("│├└─ ").startswith(kind.__name__)]
    if kind.__base__ is QdrantliteError:
        assert line.split()[-2:] == [str(status.http_status), status.grpc_code.name]
    else:
        parent = STATUS[kind.__mro__[1]]
        assert status.grpc_code is parent.grpc_code
        assert str(status.http_status) in line or status.http_status == parent.http_status


def test_subclass_takes_the_row_of_its_nearest_ancestor() -> None:
    class Special(errors.ValidationFailed):
        """Unknown to the table."""

    failure = failure_of(Special("limit: wrong"), call="test")
    assert failure.status == STATUS[errors.ValidationFailed]
    assert failure.message == "Validation error in body: [limit: wrong]"


def test_message_has_the_prefix_of_its_kind() -> None:
    assert failure_of(errors.NotFound("Collection `x` doesn't exist!"), call="test").message == (
        "Not found: Collection `x` doesn't exist!"
    )


def test_unknown_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        try:
            raise KeyError("secret")
        except KeyError as error:
            failure = failure_of(error, call="/qdrant.Points/Query")
    assert failure == INTERNAL
    assert (failure.status.grpc_code, failure.status.http_status) == (grpc.StatusCode.INTERNAL, 500)
    assert failure.message == "Service internal error"
    (record,) = caplog.records
    assert "/qdrant.Points/Query" in record.getMessage()
    assert record.exc_info is not None
    assert "secret" in caplog.text


def test_known_error_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    failure_of(errors.BadInput("x"), call="test")
    assert not caplog.records


def test_root_of_the_hierarchy_is_a_mistake_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    assert failure_of(QdrantliteError("bare"), call="test") == INTERNAL
    assert len(caplog.records) == 1
