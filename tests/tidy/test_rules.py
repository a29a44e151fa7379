"""The rules of this folder must find what they are for."""

import ast

import pytest

from tests.tidy import test_sources as rules
from tests.tidy.sources import Source


def _source(text: str) -> Source:
    return Source("qdrantlite/example.py", text, ast.parse(text))


@pytest.mark.parametrize("line", ['open("x", "/mnt/data")'.replace('"/', " /"), "see /home/someone/notes", "in /tmp/x"])
def test_machine_path_is_found(line: str) -> None:
    assert rules.MACHINE_PATH.search(line)


@pytest.mark.parametrize("line", ["GET /collections/work/main", "docs/work/x", "https://example.com/home/page"])
def test_other_path_is_no_machine_path(line: str) -> None:
    assert not rules.MACHINE_PATH.search(line)


@pytest.mark.parametrize(
    ("line", "fine"),
    [
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: E501", False),
        ("x = 1  # type: ignore", False),
        ("x = 1  # type: ignore[arg-type]", False),
        ("x = 1  # type: ignore[arg-type]  # the stub lacks this overload", True),
    ],
)
def test_ignore_needs_rule_and_reason(line: str, fine: bool) -> None:
    assert rules.IGNORE.search(line)
    assert bool(rules.IGNORE_WITH_REASON.search(line)) == fine


def test_definition_without_docstring_is_found() -> None:
    source = _source("def f(): ...\nclass A:\n    def g(self): ...\n    def known(self): ...\n    def _h(self): ...\n")
    found = list(rules._without_docstring(source, {"known"}))
    assert [text.split()[-1] for text in found] == ["f", "A", "A.g"]


def test_skip_without_reason_is_found() -> None:
    text = (
        "import pytest\npytest.skip('why')\n@pytest.mark.skipif(True)\ndef f(): ...\n@pytest.mark.xfail\ndef g(): ..."
    )
    source = _source(text)
    marks = [node for node in ast.walk(source.tree) if isinstance(node, ast.Attribute) and node.attr != "mark"]
    reasons = {mark.attr: rules._has_reason(source, mark) for mark in marks}
    assert reasons == {"skip": True, "skipif": True, "xfail": False}
