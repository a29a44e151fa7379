"""What is refused of a payload index, whichever way it is asked for, and what is written out."""

import pytest

from qdrantlite.errors import InvalidRequest
from qdrantlite.values.schema import FieldIndex, FieldKind, FieldParams, Stemmer, Stopwords
from qdrantlite.wire.checked.settings import field_index

REFUSED = [
    ("k", FieldKind.INTEGER, FieldParams(lookup=False, range=False), "can't be both disabled"),
    (
        "o.k",
        FieldKind.GEO,
        FieldParams(nested="o"),
        "field `o.k` must be inside the elements of nested `o[]`, like `o[]",
    ),
    (
        "o[]",
        FieldKind.BOOL,
        FieldParams(nested="o[]"),
        "field `o[]` must be inside the elements of nested `o[]`, like `o[]",
    ),
    ("a[].b[].k", FieldKind.UUID, FieldParams(nested="a[].b"), "nested `a[].b[]` must point to a single array level"),
    ("k", FieldKind.BOOL, FieldParams(nested="."), "Invalid json path: '.'"),
    ("k", FieldKind.TEXT, FieldParams(stopwords=Stopwords(("none",))), "No stopwords for language 'none'"),
    ("k", FieldKind.TEXT, FieldParams(stemmer=Stemmer("klingon")), "No stemmer for language 'klingon'"),
]


@pytest.mark.parametrize(("field", "kind", "params", "text"), REFUSED)
def test_indexes_that_make_no_sense_are_refused(field: str, kind: FieldKind, params: FieldParams, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        field_index(field, FieldIndex(kind, params))
    assert text in refused.value.text


@pytest.mark.parametrize(("field", "nested"), [("a.o[].k", "a.o"), ("a.o[].k[].l", "a.o[]")])
def test_array_that_an_index_is_nested_in_is_written_out(field: str, nested: str) -> None:
    index = FieldIndex(FieldKind.KEYWORD, FieldParams(is_tenant=True, nested=nested))
    assert field_index(field, index).params == FieldParams(is_tenant=True, nested="a.o[]")


def test_languages_go_by_their_codes_as_well() -> None:
    index = FieldIndex(FieldKind.TEXT, FieldParams(stopwords=Stopwords(("en", "german")), stemmer=Stemmer("tr")))
    assert field_index("k", index) == index
