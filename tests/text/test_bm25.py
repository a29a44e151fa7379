"""BM25 weights agree with the recorded answers of Qdrant's engine, and options are read or refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.errors import BadInput, InvalidRequest
from qdrantlite.text import bm25
from qdrantlite.text.bm25_options import DEFAULT_PARAMS
from qdrantlite.text.tokenizer import document_tokens

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "recordings" / "bm25.json").read_text("ascii"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['options']} {case['text'][:24]}")
def test_vectors_are_those_of_the_engine(case: dict[str, Any]) -> None:
    for embed, (indices, values) in (
        (bm25.embed_document, case["document"]),
        (bm25.embed_query, case["query"]),
    ):
        got_indices, got_values = embed(case["text"], case["options"])
        assert got_indices.tolist() == indices
        np.testing.assert_allclose(got_values, np.array(values, np.float32), rtol=1e-6, atol=0)


def test_arrays_have_the_promised_types() -> None:
    for indices, values in (bm25.embed_document("some words"), bm25.embed_query(""), bm25.embed_document("")):
        assert indices.dtype == np.uint32
        assert values.dtype == np.float32
        assert indices.shape == values.shape


@given(st.text())
def test_document_indices_are_unique_ascending_and_weights_bounded(text: str) -> None:
    indices, values = bm25.embed_document(text)
    assert np.all(np.diff(indices.astype(np.int64)) > 0)
    assert np.all((values > 0) & (values < DEFAULT_PARAMS.k + 1))
    assert set(indices.tolist()) == {bm25.token_index(t) for t in document_tokens(text, DEFAULT_PARAMS.text)}
    query_indices, ones = bm25.embed_query(text)
    assert query_indices.tolist() == indices.tolist()
    assert np.all(ones == 1)


def test_language_none_keeps_every_word_as_it_is() -> None:
    bare = {"stopwords": {}, "stemmer": {"type": "none"}}
    text = "the running dogs"
    assert bm25.embed_document(text, {"language": "none"})[0].tolist() == bm25.embed_document(text, bare)[0].tolist()
    assert len(bm25.embed_document(text, {"language": "none"})[0]) == 3


def test_option_that_is_none_has_its_default() -> None:
    options = {
        "k": None,
        "language": None,
        "stopwords": None,
        "stemmer": None,
        "tokenizer": None,
        "min_token_len": None,
    }
    assert (
        bm25.embed_document("the running dogs", options)[1].tolist()
        == bm25.embed_document("the running dogs")[1].tolist()
    )


@pytest.mark.parametrize(
    "options",
    [
        {"avglen": 3},
        {"k": -0.1},
        {"k": "1.2"},
        {"k": True},
        {"b": 1.1},
        {"b": float("nan")},
        {"avg_len": 0},
        {"avg_len": float("inf")},
        {"language": "English"},
        {"language": "klingon"},
        {"tokenizer": "letters"},
        {"tokenizer": 3},
        {"lowercase": "yes"},
        {"min_token_len": -1},
        {"max_token_len": 2.5},
        {"stopwords": "klingon"},
        {"stopwords": ["the"]},
        {"stopwords": {"words": []}},
        {"stopwords": {"custom": [1]}},
        {"stopwords": {"languages": ["klingon"]}},
        {"stemmer": "english"},
        {"stemmer": {"type": "snowball", "language": "chinese"}},
    ],
    ids=str,
)
def test_wrong_option_is_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=next(iter(options))):
        bm25.embed_query("text", options)


@pytest.mark.parametrize(("given", "shown"), [(True, "true"), ([None], "[null]"), ("é", '"é"')], ids=str)
def test_a_wrong_option_is_shown_as_json(given: object, shown: str) -> None:
    with pytest.raises(BadInput) as refused:
        bm25.embed_query("text", {"k": given})
    assert refused.value.text.endswith(f"got {shown}")


@pytest.mark.parametrize("model", ["qdrant/bm25", "Qdrant/BM25", "bm25", "BM25"])
def test_model_is_known_in_any_case(model: str) -> None:
    bm25.check_model(model)


def test_other_models_images_and_objects_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="sentence-transformers/all-MiniLM-L6-v2"):
        bm25.check_model("sentence-transformers/all-MiniLM-L6-v2")
    with pytest.raises(InvalidRequest, match="image"):
        bm25.refuse_inference("image")
