"""What single elements of fields satisfy: the meaning of matches, ranges, dates and areas where no index answers.

A predicate becomes a function from elements to flags, made once and asked for many elements at a time. An index may be
narrower: ``except`` asks an index about values of the index's type only. Text is cut into words in lower case, and
whole words are compared, each element for itself.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import compress
from math import isnan
from typing import TypeAlias, TypeGuard, assert_never

import numpy as np
from numpy.typing import NDArray

from qdrantlite.query.filter import (
    DatetimeRange,
    ElementPredicate,
    GeoBoundingBox,
    GeoPolygon,
    GeoRadius,
    MatchAnyInteger,
    MatchAnyKeyword,
    MatchBool,
    MatchExceptInteger,
    MatchExceptKeyword,
    MatchInteger,
    MatchKeyword,
    MatchPhrase,
    MatchPrefix,
    MatchSubstring,
    MatchText,
    MatchTextAny,
    Range,
)
from qdrantlite.text.parameters import TextParams
from qdrantlite.text.tokenizer import document_tokens, query_tokens
from qdrantlite.values.dates import Instant, parse_instant
from qdrantlite.values.geo import F64, GeoPoint, within_box, within_radius
from qdrantlite.values.payload import Json
from qdrantlite.values.polygon import Polygon

Bools: TypeAlias = NDArray[np.bool_]
Elements: TypeAlias = Sequence[Json]
ElementTest: TypeAlias = Callable[[Elements], Bools]
AreaTest: TypeAlias = Callable[[F64, F64], Bools]

WORDS = TextParams()
"""How texts are cut where no index says it otherwise."""


def element_test(predicate: ElementPredicate) -> ElementTest:
    """Which of the elements satisfy the predicate, ``(n,) bool``."""
    match predicate:
        case MatchKeyword(word):
            return _each(lambda element: isinstance(element, str) and element == word)
        case MatchInteger(number):
            return _each(lambda element: is_integer(element) and element == number)
        case MatchBool(flag):
            return _each(lambda element: element is flag)
        case MatchAnyKeyword(words):
            return _each(_one_of_words(words))
        case MatchAnyInteger(numbers):
            return _each(_one_of_integers(numbers))
        case MatchExceptKeyword(words):
            return _each(_none_of(_one_of_words(words)))
        case MatchExceptInteger(numbers):
            return _each(_none_of(_one_of_integers(numbers)))
        case MatchPrefix(prefix):
            return _each(lambda element: isinstance(element, str) and element.startswith(prefix))
        case MatchSubstring(substring):
            return _each(lambda element: isinstance(element, str) and substring in element)
        case MatchText() | MatchTextAny() | MatchPhrase():
            return _each(_text_test(predicate))
        case Range():
            return lambda elements: _within(predicate, elements)
        case DatetimeRange():
            return _each(lambda element: _is_between(predicate, instant_of(element)))
        case GeoRadius() | GeoBoundingBox() | GeoPolygon():
            test = area_test(predicate)
            return lambda elements: _inside(test, elements)
        case _:
            assert_never(predicate)


def is_integer(element: Json) -> TypeGuard[int]:
    """True for JSON integers; a bool is none."""
    return isinstance(element, int) and not isinstance(element, bool)


def is_number(element: Json) -> TypeGuard[int | float]:
    """True for JSON numbers; a bool is none."""
    return isinstance(element, (int, float)) and not isinstance(element, bool)


def instant_of(element: Json) -> Instant | None:
    """The moment that a date string means, None for everything else."""
    return parse_instant(element) if isinstance(element, str) else None


def geo_point_of(element: Json) -> GeoPoint | None:
    """The point that an object with numbers ``lon`` and ``lat`` means, None for everything else."""
    if isinstance(element, dict):
        lon, lat = element.get("lon"), element.get("lat")
        if is_number(lon) and is_number(lat):
            return GeoPoint(float(lon), float(lat))
    return None


def geo_arrays(points: Iterable[GeoPoint]) -> tuple[F64, F64]:
    """Longitudes and latitudes, ``(n,) float64`` each."""
    degrees = np.array([(point.lon, point.lat) for point in points], dtype=np.float64).reshape(-1, 2)
    return degrees[:, 0], degrees[:, 1]


def _each(test: Callable[[Json], bool]) -> ElementTest:
    return lambda elements: np.fromiter(map(test, elements), np.bool_, len(elements))


def _one_of_words(words: Iterable[str]) -> Callable[[Json], bool]:
    wanted = frozenset(words)
    return lambda element: isinstance(element, str) and element in wanted


def _one_of_integers(numbers: Iterable[int]) -> Callable[[Json], bool]:
    wanted = frozenset(numbers)
    return lambda element: is_integer(element) and element in wanted


def _none_of(test: Callable[[Json], bool]) -> Callable[[Json], bool]:
    return lambda element: element is not None and not test(element)


def _text_test(predicate: MatchText | MatchTextAny | MatchPhrase) -> Callable[[Json], bool]:
    """A text without a word matches nothing."""
    match predicate:
        case MatchText(text):
            every = frozenset(query_tokens(text, WORDS))
            return lambda element: bool(every) and isinstance(element, str) and every.issubset(_words(element))
        case MatchTextAny(text):
            some = frozenset(query_tokens(text, WORDS))
            return lambda element: isinstance(element, str) and not some.isdisjoint(_words(element))
        case MatchPhrase(text):
            phrase = _spoken(query_tokens(text, WORDS))
            return lambda element: len(phrase) > 1 and isinstance(element, str) and phrase in _spoken(_words(element))
        case _:
            assert_never(predicate)


def _words(text: str) -> list[str]:
    return document_tokens(text, WORDS)


def _spoken(words: list[str]) -> str:
    """Words so joined, with a blank before and after each, that what contains this contains them one by one."""
    return " ".join(["", *words, ""])


def _within(bounds: Range, elements: Elements) -> Bools:
    """Numbers for which all bounds given hold, compared as float64; NaN as a bound is above every number."""
    passing = np.fromiter(map(is_number, elements), np.bool_, len(elements))
    numbers = np.array(list(compress(elements, passing.tolist())), dtype=np.float64)
    held = np.ones(len(numbers), dtype=np.bool_)
    if bounds.gt is not None:
        held &= numbers > bounds.gt
    if bounds.gte is not None:
        held &= numbers >= bounds.gte
    if bounds.lt is not None and not isnan(bounds.lt):
        held &= numbers < bounds.lt
    if bounds.lte is not None and not isnan(bounds.lte):
        held &= numbers <= bounds.lte
    passing[passing] = held
    return passing


def _is_between(bounds: DatetimeRange, moment: Instant | None) -> bool:
    return (
        moment is not None
        and (bounds.gte is None or moment >= bounds.gte)
        and (bounds.gt is None or moment > bounds.gt)
        and (bounds.lte is None or moment <= bounds.lte)
        and (bounds.lt is None or moment < bounds.lt)
    )


def _inside(test: AreaTest, elements: Elements) -> Bools:
    points = [geo_point_of(element) for element in elements]
    passing = np.fromiter((point is not None for point in points), np.bool_, len(points))
    lon, lat = geo_arrays(point for point in points if point is not None)
    passing[passing] = test(lon, lat)
    return passing


def area_test(area: GeoRadius | GeoBoundingBox | GeoPolygon) -> AreaTest:
    """Which points are inside the area, ``(n,) bool``, by arrays of longitudes and latitudes."""
    match area:
        case GeoRadius(center, radius):
            return partial(within_radius, center=center, radius_m=radius)
        case GeoBoundingBox(top_left, bottom_right):
            return partial(within_box, top_left=top_left, bottom_right=bottom_right)
        case GeoPolygon(exterior, interiors):
            return Polygon.of(exterior, interiors).holds
        case _:
            assert_never(area)
