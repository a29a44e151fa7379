"""One server for each module of this folder."""

from collections.abc import Iterator

import pytest

from tests.fuzz.target import Target, serving


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """Running."""
    with serving() as found:
        yield found
