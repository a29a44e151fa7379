"""Which texts are point ids."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.errors import MalformedRequest
from qdrantlite.values.point_id import parse_uuid

TEXT = "550e8400-e29b-41d4-a716-446655440000"
PLAIN = TEXT.replace("-", "")


@given(st.uuids())
def test_every_form_of_a_uuid_is_the_same_id(uuid: UUID) -> None:
    for text in (str(uuid), uuid.hex, uuid.urn, f"{{{uuid}}}"):
        assert parse_uuid(text) == parse_uuid(text.upper()) == uuid


@pytest.mark.parametrize(
    "text",
    [
        *("", "0", TEXT[:-1], TEXT + "0", PLAIN[:-1], PLAIN + "0", f"0x{PLAIN[2:]}", f"0x{PLAIN}", f"0x{PLAIN[4:]}00"),
        *(
            "{" + TEXT,
            TEXT + "}",
            "{" + PLAIN,
            "{" + PLAIN + "}",
            "{{" + TEXT + "}}",
            f"({TEXT})",
            "{urn:uuid:" + TEXT + "}",
        ),
        *(f"urn:uuid:{PLAIN}", f"uuid:{TEXT}", f"urn:{TEXT}", f"URN:UUID:{{{TEXT}}}", f"urn:uuid:urn:uuid:{TEXT}"),
        *(f" {TEXT}", f"{TEXT} ", f"{TEXT}\n", f"{TEXT}\0", TEXT.replace("-", "_"), TEXT.replace("-", "\u2010")),
        *(f"{PLAIN[:4]}-{PLAIN[4:]}", f"-{PLAIN}", f"{PLAIN}-", f"{PLAIN[:9]}-{TEXT[10:]}", TEXT.replace("-", "--")),
        *(
            TEXT.replace("5", "\uff15"),
            TEXT.replace("0", "\u0660"),
            TEXT.replace("0", "g"),
            PLAIN[:30] + "+1",
            PLAIN[:28] + "_123",
        ),
    ],
)
def test_nothing_else_is_an_id(text: str) -> None:
    with pytest.raises(MalformedRequest, match=r"^Unable to parse UUID: "):
        parse_uuid(text)
