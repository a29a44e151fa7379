"""Texts become the tokens their parameters promise."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from qdrantlite.errors import BadInput
from qdrantlite.text.parameters import TextParams
from qdrantlite.text.stemming import stemmer_of
from qdrantlite.text.stopwords import STOPWORD_LANGUAGES, stopwords_of
from qdrantlite.text.tokenizer import document_tokens, query_tokens
from qdrantlite.values.schema import Tokenizer


def test_words_keep_their_order_and_repetitions() -> None:
    assert document_tokens("One two, ONE two-three", TextParams()) == ["one", "two", "one", "two", "three"]


def test_underscore_separates_words_with_and_without_other_scripts() -> None:
    assert document_tokens("snake_case", TextParams()) == ["snake", "case"]
    assert document_tokens("schön_snake", TextParams()) == ["schön", "snake"]


def test_vowel_signs_belong_to_the_word() -> None:
    assert document_tokens("हिन्दी", TextParams()) == ["हिन", "दी"]


def test_folding_comes_before_stopwords() -> None:
    params = TextParams(ascii_folding=True, stopwords_custom=("acao",))
    assert document_tokens("ação nação", params) == ["nacao"]


def test_custom_stopwords_ignore_case_only_with_lowercase() -> None:
    assert document_tokens("foo FOO", TextParams(stopwords_custom=("FOO",))) == []
    assert document_tokens("foo FOO", TextParams(stopwords_custom=("FOO",), lowercase=False)) == ["foo"]


def test_length_is_that_of_the_stem_in_characters() -> None:
    params = TextParams(stemmer="english", min_token_len=2, max_token_len=4)
    assert document_tokens("a running walked walkers äöüß", params) == ["run", "walk", "äöüß"]


def test_prefix_document_has_all_openings_and_query_the_longest() -> None:
    params = TextParams(tokenizer=Tokenizer.PREFIX, min_token_len=2, max_token_len=4)
    assert document_tokens("hello a", params) == ["he", "hel", "hell"]
    assert query_tokens("hello a hel", params) == ["hell", "hel"]


def test_prefix_query_keeps_stopwords_that_documents_drop() -> None:
    params = TextParams(tokenizer=Tokenizer.PREFIX, stopword_languages=("english",))
    assert document_tokens("the", params) == []
    assert query_tokens("the", params) == ["the"]


def test_whitespace_keeps_punctuation() -> None:
    assert document_tokens("C++ wi-fi\u3000x", TextParams(tokenizer=Tokenizer.WHITESPACE)) == ["c++", "wi-fi", "x"]


def test_code_gives_compounds_and_parts() -> None:
    params = TextParams(tokenizer=Tokenizer.CODE)
    tokens = document_tokens("get_HTTPCode", params)
    assert sorted(tokens) == ["code", "get", "gethttpcode", "http", "httpcode"]


def test_multilingual_splits_unspaced_scripts_and_drops_bare_numbers() -> None:
    params = TextParams(tokenizer=Tokenizer.MULTILINGUAL)
    assert document_tokens("Ação 64 b2b 日本 Ёлка", params) == ["acao", "b2b", "日", "本", "ёлка"]


def test_unknown_languages_are_refused() -> None:
    with pytest.raises(BadInput, match="klingon"):
        TextParams(stopword_languages=("klingon",))
    with pytest.raises(BadInput, match="chinese"):
        TextParams(stemmer="chinese")


def test_stopword_lists_are_complete_and_lower_case() -> None:
    assert len(STOPWORD_LANGUAGES) == 30
    assert len(stopwords_of("english")) == 179
    assert {"both", "each", "such", "don't", "yourselves"} <= stopwords_of("english")
    assert all(
        word and not any(c.isspace() for c in word)
        for language in STOPWORD_LANGUAGES
        for word in stopwords_of(language)
    )
    assert all(
        word.islower() or not word.upper().isupper() for word in stopwords_of("english") | stopwords_of("german")
    )


def test_one_stemmer_serves_many_threads() -> None:
    stem = stemmer_of("english")
    words = [f"relational{suffix}" for suffix in ("", "ly", "s")] + ["running", "happiness", "organization"] * 50
    alone = [stem(word) for word in words]
    with ThreadPoolExecutor(8) as pool:
        assert all(answer == alone for answer in pool.map(lambda _: [stem(word) for word in words], range(16)))
