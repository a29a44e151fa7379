"""The list of examples says what it should, verdicts find what is wrong, and the README shows what was recorded."""

import pytest

from tests.clients import dataset
from tests.clients.examples import EXAMPLES, WAITING, Hits, Ranked, Refused, answers, searched, unlimited
from tests.clients.frameworks import expected
from tests.clients.programs import PROGRAMS, ROOT
from tests.clients.run import key_of
from tests.clients.table import recorded, replaced
from tests.clients.verdict import cells, is_fine
from tests.oracle import Oracle

HITS: Hits = [(1, 0.5), ("a", 0.25)]
RIGHT = '{"example": "e", "hits": [[1, 0.5], ["a", 0.25]]}\n'


@pytest.fixture(scope="module")
def oracles() -> dict[str, Oracle]:
    return dataset.oracles()


@pytest.mark.parametrize("name", ["fuse-rrf", "fuse-dbsf", "rescore-bytes", "rescore-tokens", "three-stages"])
def test_limits_of_prefetches_decide_something(oracles: dict[str, Oracle], name: str) -> None:
    (example,) = (each for each in EXAMPLES if each.name == name)
    for each in (example, *example.dialects.values()):
        limited, whole = (oracles[each.collection].search(searched(asked)) for asked in (each, unlimited(each)))
        assert [hit.id for hit in limited] != [hit.id for hit in whole]


def test_dialects_ask_something_else(oracles: dict[str, Oracle]) -> None:
    common, go, typescript = (answers(oracles, dialect) for dialect in ("python", "go", "typescript"))
    assert {name for name, answer in go.items() if answer != common[name]} == {"fuse-rrf", "fuse-dbsf", "groups"}
    assert {name for name, answer in typescript.items() if answer != common[name]} == {"rescore-tokens"}


def test_right_answer_is_right() -> None:
    assert cells(RIGHT, {"e": Ranked(HITS)}, {}) == {"e": "ok"}
    assert cells(RIGHT.replace("0.25", "0.2500001"), {"e": Ranked(HITS)}, {}) == {"e": "ok"}
    assert cells('{"example": "e", "error": "no such point"}', {"e": Refused("such")}, {}) == {"e": "ok"}


@pytest.mark.parametrize(
    "output",
    [
        "",
        RIGHT.replace("0.25", "0.2501"),
        RIGHT.replace("0.25", "NaN"),
        RIGHT.replace('"a"', "2"),
        '{"example": "e", "hits": [[1, 0.5]]}',
        '{"example": "e", "error": "x"}',
        RIGHT + '{"example": "stranger", "hits": []}',
    ],
)
def test_wrong_answer_is_wrong(output: str) -> None:
    assert not all(map(is_fine, cells(output, {"e": Ranked(HITS)}, {}).values()))


def test_waiting_example_must_be_refused_as_not_implemented() -> None:
    assert cells('{"example": "e", "error": "UNIMPLEMENTED"}', {}, {"e": "x"}) == {"e": "waits for x"}
    for output in ("", RIGHT, '{"example": "e", "error": "INTERNAL"}'):
        assert not is_fine(cells(output, {}, {"e": "x"})["e"])


def test_readme_shows_the_recorded_results() -> None:
    rows, readme = recorded(), (ROOT / "README.md").read_text(encoding="utf-8")
    assert replaced(readme, rows) == readme
    assert list(rows) == [key_of(each) for each in PROGRAMS]
    assert {name: row["version"] for name, row in rows.items()} == {key_of(each): each.version for each in PROGRAMS}
    guides, of_frameworks = {each.name for each in EXAMPLES}, expected.answers()
    for program in PROGRAMS:
        cells_seen = rows[key_of(program)]["cells"]
        calls = of_frameworks.get(program.dialect)
        assert cells_seen.keys() == (guides if calls is None else calls.keys())
        assert all(map(is_fine, cells_seen.values()))
        assert {name for name, cell in cells_seen.items() if cell != "ok"} <= WAITING.keys()
