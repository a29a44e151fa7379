"""The comparators must find every kind of difference and forgive only ties and rounding."""

from math import nan

from tests.congruence.compare import differences
from tests.oracle import Hit


def hits(*pairs: tuple[int, float]) -> list[Hit]:
    return [Hit(point_id, score) for point_id, score in pairs]


def wrong(actual: list[Hit], expected: list[Hit], limit: int = 10) -> bool:
    return bool(list(differences(actual, expected, limit=limit)))


def test_equal_answers_do_not_differ() -> None:
    assert not wrong(hits((1, 0.5), (2, 0.25)), hits((1, 0.5), (2, 0.25)))
    assert not wrong([], [])


def test_rounding_is_forgiven_and_more_is_not() -> None:
    assert not wrong(hits((1, 0.500001)), hits((1, 0.5)))
    assert wrong(hits((1, 0.5001)), hits((1, 0.5)))


def test_missing_and_additional_hits_are_found() -> None:
    assert wrong(hits((1, 0.5)), hits((1, 0.5), (2, 0.25)))
    assert wrong(hits((1, 0.5), (2, 0.25)), hits((1, 0.5)))
    assert wrong(hits((1, 0.5), (2, 0.25)), hits((1, 0.5), (2, 0.25)), limit=1)


def test_tied_points_may_change_places() -> None:
    assert not wrong(hits((2, 0.5), (1, 0.5), (3, 0.1)), hits((1, 0.5), (2, 0.5), (3, 0.1)))


def test_points_of_different_scores_may_not_change_places() -> None:
    assert wrong(hits((2, 0.5), (1, 0.25)), hits((1, 0.5), (2, 0.25)))


def test_repeated_point_does_not_pass_for_two_tied_ones() -> None:
    assert wrong(hits((1, 0.5), (1, 0.5)), hits((1, 0.5), (2, 0.5)))


def test_group_cut_by_the_limit_may_hold_any_tied_point() -> None:
    expected = hits((1, 0.9), (2, 0.5), (3, 0.5), (4, 0.1))
    assert not wrong(hits((1, 0.9), (3, 0.5)), expected, limit=2)
    assert wrong(hits((1, 0.9), (4, 0.5)), expected, limit=2)


def test_group_ending_at_the_limit_is_compared() -> None:
    assert wrong(hits((3, 0.9)), hits((1, 0.9), (2, 0.5)), limit=1)


def test_last_group_of_an_answer_that_was_cut_is_not_compared_by_id() -> None:
    assert not wrong(hits((3, 0.9)), hits((1, 0.9)), limit=1)
    assert wrong(hits((3, 0.9)), hits((1, 0.9)), limit=2)


def test_order_values_are_compared() -> None:
    assert wrong([Hit(1, 1.0, 5)], [Hit(1, 1.0, 6)])
    assert wrong([Hit(1, 1.0, None)], [Hit(1, 1.0, 6)])
    assert not wrong([Hit(1, 1.0, 6)], [Hit(1, 1.0, 6)])


def test_nan_equals_only_nan() -> None:
    assert not wrong(hits((1, nan)), hits((1, nan)))
    assert wrong(hits((1, nan)), hits((1, 0.5)))
