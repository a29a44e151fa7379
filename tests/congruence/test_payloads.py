"""Payloads, the paths that reach into them and the selectors that cut them, against the reference engine."""

import json
import random
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any
from uuid import UUID

import pytest
import qdrant_edge as edge
from qdrant_client import models

from qdrantlite.errors import MalformedRequest
from qdrantlite.execute.project import project_payload
from qdrantlite.query.search import PayloadSelector
from qdrantlite.values.payload import Json, Payload, delete_path, parse_path, set_payload
from tests.congruence.twin import Twin

FIELDS: tuple[Any, ...] = (
    *(None, 1, 2.5, "", True, [], {}, [1, 2, 3], [None], [[]], [{}], [[1, 2], [3, 4]], [[1, [2, 3]], 4], [[[1, 2]]]),
    *([{"a": 1, "b": 2}, {"a": [1, 2]}], {"a": 1}, {"a": [1, 2]}, {"a": {"a": 1}}, {"a": [{"a": 1}, {"a": 2, "b": 3}]}),
    *(
        [[{"a": 1}]],
        {"a": None},
        {"a": {}},
        {"a": []},
        {"a": [[1, 2], [3]]},
        {"": {"": 1}},
        [{"": 1}, 5, {"a": {"b": 1}}],
    ),
)
PAYLOADS: list[Payload] = [{"a": field, "b": 1, "c": {"a": [1, {"a": 2}]}} for field in FIELDS]
STEPS = (".a", ".b", "[]", "[0]", "[1]", "[5]", '.""')
PATHS = ["a" + "".join(steps) for length in range(4) for steps in product(STEPS, repeat=length)]
IDS: list[Any] = list(range(len(PAYLOADS)))


class Payloads:
    """Payloads in the engine, put back before every question."""

    def __init__(self, shard: Any) -> None:
        self.shard = shard

    def after(self, operation: Any) -> list[Payload]:
        points = [edge.Point(number, [1.0], payload) for number, payload in enumerate(PAYLOADS)]
        self.shard.update(edge.UpdateOperation.upsert_points(points))
        self.shard.update(operation)
        return self.read(True)

    def read(self, selector: Any) -> list[Payload]:
        return [found.payload for found in self.shard.scroll(edge.ScrollRequest(limit=1000, with_payload=selector))[0]]


@pytest.fixture(scope="module")
def payloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Payloads]:
    params = edge.EdgeVectorParams(1, edge.Distance.Dot)
    shard = edge.EdgeShard.create(str(tmp_path_factory.mktemp("payloads")), edge.EdgeConfig(vectors=params))
    yield Payloads(shard)
    shard.close()


def test_deleting_at_any_path(payloads: Payloads) -> None:
    for path in PATHS:
        left = [delete_path(payload, parse_path(path)) for payload in PAYLOADS]
        assert left == payloads.after(edge.UpdateOperation.delete_payload(IDS, [path])), path


@pytest.mark.parametrize("change", [{"a": None, "b": [None]}, {}])
def test_setting_at_any_path(payloads: Payloads, change: Payload) -> None:
    for path in PATHS:
        changed = [set_payload(payload, change, parse_path(path)) for payload in PAYLOADS]
        assert changed == payloads.after(edge.UpdateOperation.set_payload(IDS, change, path)), path


def test_parts_included_and_excluded(payloads: Payloads) -> None:
    payloads.after(edge.UpdateOperation.set_payload(IDS, {}))
    pairs = [(path, other) for path in PATHS[:60] for other in ("b", "a.a", "a[].a", "c.a[].a", "a[]")]
    for paths in [(), *((path,) for path in PATHS), *pairs]:
        included = [project_payload(payload, PayloadSelector(include=paths)) for payload in PAYLOADS]
        assert included == payloads.read(edge.PayloadSelector.Include(list(paths))), paths
        excluded = [project_payload(payload, PayloadSelector(exclude=paths)) for payload in PAYLOADS]
        assert excluded == payloads.read(edge.PayloadSelector.Exclude(list(paths))), paths


def is_path(text: str) -> bool:
    try:
        parse_path(text)
    except MalformedRequest:
        return False
    return True


def is_path_to_engine(text: str) -> bool:
    try:
        edge.IsEmptyCondition(text)
    except ValueError:
        return False
    return True


def test_texts_that_are_paths() -> None:
    texts = ["".join(signs) for length in range(5) for signs in product('a."[]0\\', repeat=length)]
    letters = [chr(code) for code in range(0x3000) if code not in range(0xD800, 0xE000)]
    others = ["नमस", "สวัสดี", "שָׁלוֹם", "日本.語", "a-b_c", "a b", "a[-1]", "a[ 1]", "a[٣]", '"a b".c', "😀", '"😀"']
    assert [text for text in texts + letters + others if is_path(text) != is_path_to_engine(text)] == []


def exact(found: Any) -> str:
    """A text in which 1, 1.0 and True differ and the order of keys does not matter."""
    return json.dumps(found, sort_keys=True, default=str)


def random_value(chance: random.Random, depth: int = 0) -> Json:
    kind = chance.random()
    if depth < 3 and kind < 0.25:
        return {
            key: random_value(chance, depth + 1) for key in chance.sample(["a", "b", "ключ", ""], chance.randint(0, 3))
        }
    if depth < 3 and kind < 0.5:
        return [random_value(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    numbers: list[Json] = [0, 1, 1.0, -0.0, 2.5, 1e300, 5e-324, 2**53 + 1, -(2**63), 2**63 - 1]
    return chance.choice([None, True, False, "", "x", "ü\n\0", *numbers])


def test_payloads_of_any_shape_come_back(make_twin: Callable[..., Twin]) -> None:
    """Integers stay integers, floats floats; every form of an id is answered in one."""
    chance = random.Random(11)
    twin = make_twin(dense=models.VectorParams(size=1, distance=models.Distance.DOT))
    uuid = UUID(int=0xA0EEBC99_9C0B_4EF8_BB6D_6BB9BD380A11)
    ids: list[int | str] = [0, 1, 2**63, 2**64 - 1, str(uuid), *range(100, 160)]
    written: dict[Any, Payload] = {each: {"a": random_value(chance), "b": random_value(chance)} for each in ids}
    twin.upsert([models.PointStruct(id=each, vector=[1.0], payload=payload) for each, payload in written.items()])
    ours, theirs = twin.contents()
    assert exact(ours) == exact(theirs)
    found = {record.id: record.payload for record in twin.ours.retrieve(twin.name, ids)}
    assert exact([found[each] for each in ids]) == exact([written[each] for each in ids])
    forms = [uuid.hex, str(uuid).upper(), f"urn:uuid:{uuid}", f"{{{uuid}}}"]
    for form in forms:
        assert [record.id for record in twin.ours.retrieve(twin.name, [form])] == [str(uuid)]


def test_writes_of_payloads_one_after_the_other(make_twin: Callable[..., Twin]) -> None:
    chance = random.Random(5)
    twin = make_twin(dense=models.VectorParams(size=1, distance=models.Distance.DOT))
    twin.upsert(
        [models.PointStruct(id=number, vector=[1.0], payload={"a": field}) for number, field in enumerate(FIELDS)]
    )
    for _ in range(60):
        ids = chance.sample(range(len(FIELDS)), 6)
        change = {key: random_value(chance, 1) for key in chance.sample(["a", "b", "c"], chance.randint(0, 2))}
        match chance.randint(0, 4):
            case 0:
                twin.overwrite_payload(ids, change)
            case 1:
                twin.delete_payload(ids, [chance.choice(PATHS[:60]), "b"])
            case 2:
                twin.set_payload(ids, change)
            case _:
                twin.set_payload(ids, change, chance.choice(PATHS))
        ours, theirs = twin.contents(with_vectors=False)
        assert exact(ours) == exact(theirs)
