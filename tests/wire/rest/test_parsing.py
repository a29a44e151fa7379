"""Long bodies are parsed in pieces; what comes out is what the parser would have made of the whole."""

import json
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdrantlite.values.payload import Json
from qdrantlite.wire.rest.parsing import PIECE_BYTES, NotJson, Reader

TEXTS = st.text(st.sampled_from('a\\"[]{},: \té😀')) | st.sampled_from(("\\", '"', "[", "},{", '\\"', "0"))
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=40,
)
WRITERS: tuple[Callable[[Json], bytes], ...] = (
    orjson.dumps,
    lambda value: json.dumps(value).encode(),
    lambda value: json.dumps(value, indent="\t", ensure_ascii=False).encode(),
)
BROKEN_BY = b'[]{},:"\\ 01tn\n\x02\xff'
PIECES = st.integers(1, 60)


def outcome(read: Callable[[bytes], object], text: bytes) -> str:
    """What is read, with the types of all numbers; or that it is refused."""
    try:
        return repr(read(text))
    except (NotJson, orjson.JSONDecodeError):
        return "refused"


@given(VALUES, st.sampled_from(WRITERS), PIECES)
def test_pieces_make_the_value_that_the_whole_makes(value: Json, write: Callable[[Json], bytes], piece: int) -> None:
    text = write(value)
    assert outcome(lambda text: Reader(piece).read(text), text) == outcome(orjson.loads, text)


@given(VALUES, st.sampled_from(WRITERS), PIECES, st.data())
def test_what_is_not_json_is_refused_and_nothing_else(
    value: Json, write: Callable[[Json], bytes], piece: int, data: st.DataObject
) -> None:
    text = bytearray(write(value))
    for _ in range(data.draw(st.integers(1, 3))):
        at, byte = data.draw(st.integers(0, len(text))), data.draw(st.sampled_from(BROKEN_BY))
        text[at : at + data.draw(st.integers(0, 1))] = bytes([byte])[: data.draw(st.integers(0, 1))]
    broken = bytes(text)
    assert outcome(lambda text: Reader(piece).read(text), broken) == outcome(orjson.loads, broken)


@pytest.mark.parametrize(
    "text",
    [
        b"[,[]]",
        b"[\n,\t[]\n]",
        b"[[] ,\n]",
        b"[[] \n, 1]",
        b"[[] []]",
        b"[[],,[]]",
        b'[[]," \\\\",[]]',
        b'[{"a":[]}, {]}]',
        b"[[]",
        b"[]]",
    ],
)
def test_commas_and_brackets_between_pieces_are_judged_as_in_the_whole(text: bytes) -> None:
    for piece in range(1, 9):
        assert outcome(lambda text, piece=piece: Reader(piece).read(text), text) == outcome(orjson.loads, text)  # type: ignore[misc]  # mypy cannot type a lambda with a default


@settings(max_examples=40)
@given(st.lists(VALUES, max_size=5), VALUES, st.sampled_from(WRITERS), PIECES)
def test_elements_that_come_apart_are_those_of_the_list(
    points: list[Json], other: Json, write: Callable[[Json], bytes], piece: int
) -> None:
    around, apart = Reader(piece).read_around(write({"other": other, "points": points, "last": points}), "points")
    assert isinstance(around, dict)
    listed = around["points"] if apart is None else list(apart)
    assert repr({**around, "points": listed}) == repr({"other": other, "points": points, "last": points})
    assert apart is None or around["points"] == []


def test_a_string_that_looks_like_what_was_taken_out_stays() -> None:
    value: Json = {"a": list(range(50)), "b": "0" * 33, "c": {"d": [[1] * 9] * 9, "e": "1"}}
    assert Reader(16).read(orjson.dumps(value)) == value


ROW: Json = {"id": 1, "vector": [0.125] * 100, "payload": {"text": 'a "quoted" [text] {of} some, length\\'}}
LONG_BODIES: dict[str, Json] = {
    "points": {"points": [ROW] * 100},
    "columns": {"batch": {"ids": [1] * 9000, "vectors": [[0.125] * 100] * 100, "payloads": [{"a": 1}] * 5000}},
    "operations": {"operations": [{"upsert": {"points": [ROW] * 50}}, {"delete": {"points": [1] * 9000}}]},
    "small values": {"points": [{"id": 1, "vector": [], "payload": {"a": [{}, {}, []], "b": 0}}] * 1000},
    "one long payload": {"points": [{"id": 1, "payload": {"a": {"b": [[{"c": 1}] * 5000]}}}]},
    "one long vector": {"points": [{"id": 1, "vector": {"a": [0.125] * 9000}}, {"id": 2, "vector": [1.5]}]},
    "lists in a list": [[[1] * 9000], [[2] * 9000]],
    "many members": {"points": [{"id": 1, "payload": {f"k{at}": {} for at in range(5000)}}], "a": 1},
    "many members outside": {**{f"k{at}": {"a": 1} for at in range(5000)}, "points": [1, 2]},
    "long behind short": {"points": [1, 2, {"a": 1, "b": {"c": [2], "d": {f"k{at}": at for at in range(5000)}}}, 3]},
    "long within long": {"a": {"b": {"c": {f"k{at}": {"d": at} for at in range(5000)}, "e": {}}, "f": 1}},
}


@pytest.mark.parametrize("kind", LONG_BODIES)
@pytest.mark.parametrize("write", WRITERS)
def test_the_parser_never_gets_much_at_a_time(
    kind: str, write: Callable[[Json], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, lengths, parse = write(LONG_BODIES[kind]), [], orjson.loads

    def measured(piece: bytes) -> Json:
        lengths.append(len(piece))
        value: Json = parse(piece)
        return value

    monkeypatch.setattr(orjson, "loads", measured)
    assert len(text) > 6 * 4096
    assert Reader(4096).read(text) == LONG_BODIES[kind]
    assert max(lengths) <= 3 * 4096


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("wrong", [b"tru ", b'"\\x"', b"[1 2]", b"01"])
@given(at=st.integers(0, 19))
def test_errors_in_pieces_say_where_they_are_in_the_whole(
    write: Callable[[Json], bytes], wrong: bytes, at: int
) -> None:
    rows: list[Json] = [{"id": number, "é": [number] * 9} for number in range(20)]
    rows[at] = {"id": at, "é": ["wrong"]}
    text = write({"points": rows, "mode": "é"}).replace(b'"wrong"', wrong)
    with pytest.raises(orjson.JSONDecodeError) as expected:
        orjson.loads(text)
    place = f"at line {expected.value.lineno} column {expected.value.colno}"
    with pytest.raises(NotJson) as found:
        Reader(40).read(text)
    assert found.value.text.endswith(place)


@pytest.mark.parametrize("depth", [128, 129])
@pytest.mark.parametrize("piece", [20, PIECE_BYTES])
def test_depth_is_bounded_however_long_the_text(depth: int, piece: int) -> None:
    text = b'{"a":' * (depth // 2) + b"[" * (depth - depth // 2) + b"]" * (depth - depth // 2) + b"}" * (depth // 2)
    assert orjson.loads(text)
    if depth <= 128:
        assert Reader(piece).read(text) == orjson.loads(text)
    else:
        with pytest.raises(NotJson, match="recursion limit exceeded"):
            Reader(piece).read(text)
