"""Record what Qdrant's engine answers for texts that are hard to tokenize, into ``tests/recordings/bm25.json``.

Run it by hand when the engine changes: ``python scripts/record_bm25.py``. A case is a text, the options as a client
would send them, and the sparse vectors of the engine for the text as a document and as a query.
"""

import json
from pathlib import Path
from typing import Any

import qdrant_edge as engine

RECORDING = Path(__file__).parent.parent / "tests" / "recordings" / "bm25.json"

PLAIN: dict[str, Any] = {}
BARE: dict[str, Any] = {"stemmer": {"type": "none"}, "stopwords": {"custom": []}}

TEXTS = [
    "",
    " \t\n ",
    "the and of",
    "convert an addressbook to VCARD file format",
    "The quick brown fox jumped over the lazy dog; the DOG slept.",
    "don't can't won't o'clock rock'n'roll",
    "typographic don’t and “quotes”",
    "well-known state-of-the-art wi-fi e-mail",
    "snake_case __init__ _private a__b",
    "version 1.2.3-rc1+build5 of libfoo2.0-dev (>= 3.14)",
    "3.14 1,000,000 1_000 1e-9 0x1F x_9Bc 42",
    "C++ C# F# .NET node.js",
    "https://example.org/a/b?c=d&e=f user@example.com",
    "naïve café résumé São Paulo ação",
    "Straße GROSSE ẞ ß Ærøskøbing Łódź Đorđe þing",
    "İstanbul ıspanak Iğdır",
    "Ελληνικά ΟΔΟΣ ὀδυσσεύς",
    "Привет, мир! Ёлка и ежи",
    "日本語のテスト 中文分词 한국어",
    "नमस्ते दुनिया हिन्दी",
    "สวัสดีชาวโลก",
    "שלום עולם مرحبا بالعالم",
    "emoji 😀 party 🎉🎉 done ✓",
    "ⅷ ① ½ ² ㍿ ﬁne ｆｕｌｌ ｗｉｄｔｈ ⓐⓑ",
    "zero\u200bwidth non\u00a0breaking\u3000ideographic em\u2003space next\u0085line unit\u001fseparator",
    "combining e\u0301 a\u0308 n\u0303o",
    "running runs ran runner easily fairly happiness relational conditional",
    "universe university universal international interval interesting organization organs",
    "paste pasting pasted GPaste copy-paste past pastes",
    "added adding egging erred inning evening evenings news skies dying",
    "ontologist biologists psychology apologist",
    "exceed proceeding succeeds later lateral emergency emerging",
    "aaa aaa aaa bbb bbb ccc",
    "word " * 300,
    "a b c d e f g h i j",
    "camelCase parseHTTPResponse IPv6 utf8Decode get_HTTPResponse_code SCREAMING_CASE",
    "X11 x86_64 amd64 i386 k8s i18n",
    "'quoted' \"double\" `back` (paren) [bracket] {brace}",
]

VARIANTS: list[tuple[dict[str, Any], list[str]]] = [
    (PLAIN, TEXTS),
    (BARE, TEXTS),
    ({**BARE, "tokenizer": "whitespace"}, TEXTS),
    ({**BARE, "tokenizer": "code"}, TEXTS),
    ({**BARE, "ascii_folding": True}, TEXTS),
    ({"lowercase": False}, TEXTS[3:10]),
    ({"tokenizer": "code", "lowercase": False}, TEXTS[-4:]),
    ({"tokenizer": "prefix", "min_token_len": 2, "max_token_len": 5}, TEXTS[:12]),
    ({"tokenizer": "prefix"}, TEXTS[:6]),
    ({"tokenizer": "multilingual"}, TEXTS[:9]),
    ({"min_token_len": 3, "max_token_len": 6}, TEXTS[3:20]),
    ({"k": 0.5, "b": 0.1, "avg_len": 4}, TEXTS[3:8] + TEXTS[32:34]),
    ({"k": 2, "b": 1.0, "avg_len": 12.5}, TEXTS[3:8] + TEXTS[32:34]),
    (
        {"stopwords": {"languages": ["english", "german"], "custom": ["FOX", "und"]}},
        [*TEXTS[3:6], "der Hund und die fox"],
    ),
    ({"stopwords": "french"}, ["le chat et the dog avec running"]),
    ({"language": "german"}, ["Die Häuser und Straßen der Städte laufen schneller"]),
    ({"language": "fr"}, ["les maisons continuellement mangées à l'été"]),
    ({"language": "spanish"}, ["los perros corriendo rápidamente hacia más él sí"]),
    ({"language": "russian"}, ["красивые собаки бежали по улицам если бы"]),
    ({"language": "dutch"}, ["de mooie huizen lopende alles geweest daar lichamelijkheden"]),
    ({"language": "romanian"}, ["aceştia informaţii naţiunea câţi deşi copiii"]),
    ({"language": "finnish"}, ["talossa juoksemassa olisitte kauniimmat"]),
    ({"language": "turkish"}, ["evlerinden için çok kitapları"]),
    ({"language": "chinese"}, ["我们 的 running 测试"]),
    ({"language": "english", "stemmer": {"type": "snowball", "language": "french"}}, ["the continuellement running"]),
]


def engine_of(options: dict[str, Any]) -> engine.Bm25:
    """The engine's model with the options of a ``Document``."""
    settings = dict(options)
    if "tokenizer" in settings:
        settings["tokenizer"] = getattr(engine.TokenizerType, settings["tokenizer"].capitalize())
    if isinstance(stopwords := settings.get("stopwords"), str):
        settings["stopwords"] = getattr(engine.Language, stopwords.capitalize())
    elif stopwords is not None:
        languages = {getattr(engine.Language, name.capitalize()) for name in stopwords.get("languages", [])}
        settings["stopwords"] = engine.StopwordsSet(languages, set(stopwords.get("custom", [])))
    if (stemmer := settings.get("stemmer")) is not None:
        snowball = stemmer["type"] == "snowball"
        settings["stemmer"] = (
            engine.SnowballParams(getattr(engine.SnowballLanguage, stemmer["language"].capitalize()))
            if snowball
            else engine.DisabledStemmer()
        )
    return engine.Bm25(engine.Bm25Config(**settings))


def main() -> None:
    """Write the recording, one case a line."""
    cases = []
    for options, texts in VARIANTS:
        model = engine_of(options)
        for text in texts:
            document, query = model.embed_document(text), model.embed_query(text)
            cases.append(
                {
                    "options": options,
                    "text": text,
                    "document": [document.indices, document.values],
                    "query": [query.indices, query.values],
                }
            )
    RECORDING.parent.mkdir(parents=True, exist_ok=True)
    RECORDING.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n", "ascii")
    print(f"{len(cases)} cases in {RECORDING.name}")


if __name__ == "__main__":
    main()
