"""Random formulas over random prefetches, with and without indexes, against the reference engine."""

import struct
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from qdrant_client import models

from qdrantlite.values.payload import Json
from tests.congruence import in_edge_words as words
from tests.congruence.compare import assert_same
from tests.congruence.random_conditions import RandomConditions
from tests.congruence.twin import Twin
from tests.oracle import Hit

POINTS = 60
ORIGIN = models.GeoPoint(lon=1.0, lat=2.0)
KINDS = models.PayloadSchemaType
INDEXES = {
    "n": KINDS.INTEGER,
    "m": KINDS.FLOAT,
    "mixed": KINDS.KEYWORD,
    "list": KINDS.INTEGER,
    "date": KINDS.DATETIME,
    "place": KINDS.GEO,
    "deep.n": KINDS.UUID,
    "list[0]": KINDS.TEXT,
}
KEYS = ("n", "m", "list", "mixed", "deep.n", "list[0]", "list[]", "none")


class RandomFormulas(RandomConditions):
    """Payloads with mostly numbers, and expressions of every kind."""

    depth_max = 1

    def one_of(self, values: list[Json]) -> Json:
        return self.choice(values)

    def number(self) -> int | float:
        return self.choice([0, 1, 2, -3, 0.5, 7.25, 1e6])

    def payload(self) -> dict[str, Json]:
        fields: dict[str, Json] = {
            "n": self.number(),
            "list": self.one_of([[self.number()], [self.number()], self.number(), []]),
            "mixed": self.one_of([self.number(), [self.number()], "x", None, [1, 2], ["x", 3], True]),
            "deep": {"n": self.number()},
            "date": self.one_of([self.moment().isoformat(), [self.moment().isoformat()], self.date()]),
            "place": self.one_of([{"lon": 1, "lat": 2.5}, [{"lon": -3.5, "lat": 80}], [10, 20], self.place()]),
            "a": self.value(),
        }
        if self.random() < 0.5:
            fields["m"] = self.number()
        return {key: value for key, value in fields.items() if self.random() < 0.95}

    def constant(self) -> float:
        value: float = struct.unpack("f", struct.pack("f", self.choice([0.0, 1.0, -1.0, 2.0, 0.1, 10.0, 1e-3, 1e4])))[0]
        return value

    def expression(self, depth: int = 0) -> Any:
        kind = self.randint(0, 13 if depth < 4 else 5)

        def part() -> Any:
            return self.expression(depth + 1)

        match kind:
            case 0:
                return self.constant()
            case 1 | 2:
                return self.choice(["$score", "$score[0]", "$score[1]", "$score[2]", *KEYS])
            case 3:
                return self.choice(
                    [self.condition(depth=9), models.DatetimeExpression(datetime="2020-02-29T12:00:00Z")]
                )
            case 4:
                return models.DatetimeKeyExpression(datetime_key=self.choice(["date", "none"]))
            case 5:
                return models.GeoDistance(
                    geo_distance=models.GeoDistanceParams(origin=ORIGIN, to=self.choice(["place", "none"]))
                )
            case 6 | 7:
                return models.SumExpression(sum=[part() for _ in range(self.randint(0, 3))])
            case 8:
                return models.MultExpression(mult=[part() for _ in range(self.randint(0, 3))])
            case 9:
                default = self.choice([None, 0.5])
                return models.DivExpression(div=models.DivParams(left=part(), right=part(), by_zero_default=default))
            case 10:
                return models.PowExpression(pow=models.PowParams(base=part(), exponent=self.choice([0.5, 2.0, part()])))
            case 11:
                parts = [part() for _ in range(self.randint(1, 3))]
                return self.choice([models.MaxExpression(max=parts), models.MinExpression(min=parts)])
            case 12:
                return self.decay(part)
            case _:
                name = self.choice(["neg", "abs", "sqrt", "exp", "log10", "ln", "acosh"])
                return getattr(models, f"{name.capitalize()}Expression")(**{name: part()})

    def decay(self, part: Callable[[], Any]) -> Any:
        params = models.DecayParamsExpression(
            x=part(),
            target=self.choice([None, part()]),
            scale=self.choice([None, 0.5, 100.0, 86400.0]),
            midpoint=self.choice([None, 0.25, 0.75]),
        )
        made = [
            models.LinDecayExpression(lin_decay=params),
            models.ExpDecayExpression(exp_decay=params),
            models.GaussDecayExpression(gauss_decay=params),
        ]
        return self.choice(made)

    def defaults(self) -> dict[str, Any]:
        known: dict[str, Any] = {"m": 3.5, "none": 1.0, "list": 2, "$score[1]": -1.0, "$score": 5.0, "list[]": 4.0}
        known |= {"mixed": 8.0, "n": 0.5, "deep.n": 1.5, "list[0]": 2.5}
        if self.random() < 0.5:
            known |= {"date": "2021-01-01", "place": {"lon": 3.0, "lat": 4.0}}
        return {key: value for key, value in known.items() if self.random() < 0.9}

    def search(self) -> models.Prefetch:
        prefetches = [
            models.Prefetch(query=[self.uniform(-1, 1), 1.0], limit=self.randint(1, 9), filter=narrowed)
            for narrowed in (self.choice([None, self.filter(1)]) for _ in range(self.randint(1, 3)))
        ]
        formula = models.FormulaQuery(formula=self.expression(), defaults=self.defaults())
        return models.Prefetch(prefetch=prefetches, query=formula, limit=self.randint(1, 12))


def filled(make_twin: Callable[..., Twin], chance: RandomFormulas, indexed: bool) -> Twin:
    """A twin, on request with an index of each kind."""
    twin = make_twin(dense=models.VectorParams(size=2, distance=models.Distance.DOT))
    twin.upsert(
        [
            models.PointStruct(id=number, vector=[number / 8, -number / 16], payload=chance.payload())
            for number in range(POINTS)
        ]
    )
    if indexed:
        for key, kind in INDEXES.items():
            twin.index(key, kind)
    return twin


def compare(twin: Twin, chance: RandomFormulas, formulas: int) -> None:
    """Both sides have the same scores, or both refuse."""
    answered = 0
    for _ in range(formulas):
        stage = chance.search()
        refusal, ours, theirs = None, list[Hit](), list[Hit]()
        try:
            ours, theirs = twin.hits(stage)
        except grpc.RpcError as error:
            refusal = error
        if refusal is None:
            largest = max([1.0, *(abs(hit.score) for hit in theirs)])
            assert_same(ours, theirs, limit=stage.limit or 10, tolerance=largest * 1e-5)
            answered += 1
            continue
        assert refusal.code() is grpc.StatusCode.INVALID_ARGUMENT, stage
        with pytest.raises(Exception, match=r"Operation cancelled|Validation failed"):
            twin.theirs.query(words.search(stage))
    assert formulas / 4 < answered < formulas


@pytest.mark.parametrize("indexed", [False, True])
def test_formulas_score_alike(make_twin: Callable[..., Twin], indexed: bool) -> None:
    chance = RandomFormulas(f"{indexed}")
    compare(filled(make_twin, chance, indexed), chance, 200)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_many_formulas_score_alike(make_twin: Callable[..., Twin], seed: int) -> None:
    chance = RandomFormulas(seed)
    compare(filled(make_twin, chance, indexed=seed % 2 == 0), chance, 200)
