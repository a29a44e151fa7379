"""Texts that are dates, the instants they mean, and texts that are none."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdrantlite.values.dates import Instant, parse_instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENTS = st.datetimes(timezones=st.just(UTC))
NEW_YEAR = 1_577_836_800


def instant(moment: datetime) -> Instant:
    micros = (moment - EPOCH) // timedelta(microseconds=1)
    return Instant(*divmod(micros, 1_000_000))


@given(MOMENTS, st.sampled_from(["T", " ", "t"]), st.sampled_from(["Z", "+00:00", " UTC", ""]))
def test_every_moment_of_the_calendar_is_read(moment: datetime, between: str, zone: str) -> None:
    between = between if zone else "T"
    assert parse_instant(f"{moment:%Y-%m-%d}{between}{moment:%H:%M:%S.%f}{zone}".rjust(26, "0")) == instant(moment)


@given(MOMENTS)
def test_usual_texts_are_read_as_others_are(moment: datetime) -> None:
    text = f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0")
    assert parse_instant(text) == instant(moment.replace(microsecond=0))


@pytest.mark.parametrize("text", ["2021-02-29T00:00:00Z", "2020-01-01T24:00:00Z", "2020-01-01T00:60:00Z"])
def test_usual_texts_of_no_moment_are_no_dates(text: str) -> None:
    assert parse_instant(text) is None
    assert parse_instant("2016-12-31T23:59:60Z") == Instant(1_483_228_799, 1_000_000)


@given(MOMENTS, st.integers(-1439, 1439))
def test_zones_are_taken_off(moment: datetime, minutes: int) -> None:
    zone = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    read = parse_instant(f"{moment:%Y-%m-%dT%H:%M:%S.%f}{zone}".rjust(32, "0"))
    assert read is not None
    assert read.micros == instant(moment).micros - minutes * 60_000_000


@pytest.mark.parametrize(
    "text",
    [
        *("2020-01-01", "2020-1-1", " 2020-01- 01", "2020-01-01 00:00", "2020-01-01T00:00", "+2020-01-01"),
        *("2020 - 01-01 0 : 0:0 z ", "2020-01-01T01:00:00+01", "2020-01-01T01:00:00+0100"),
        *(
            "2019-12-31T23:00:00\u221201 00",
            "2020-01-01\u300000:00:00.0000009",
            "2020-01-0100:00",
            "2020-01-0100:00:00Z",
        ),
    ],
)
def test_relatives_of_the_standard_are_read(text: str) -> None:
    assert parse_instant(text) == Instant(NEW_YEAR, 0)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2020", "2020-01", "20200101", "2020-13-01", "2021-02-29", "2020-01-01 ", "12020-01-01", "2020/01/01"),
        *("2020-01-01T24:00:00", "2020-01-01T00:00:61Z", "2020-01-01T00:00Z", "2020-01-01T00:00:00+24:00", "now"),
        *("2020-01-01Z", "\u0662020-01-01", "2020-01-01T00:00:00.", "+300000-01-01"),
        "2020-01-01" + " " * 2000 + "0:0",
    ],
)
def test_other_texts_are_no_dates(text: str) -> None:
    assert parse_instant(text) is None


def test_years_beyond_four_digits_and_before_the_first_have_instants() -> None:
    assert parse_instant("+12020-01-01") == Instant(317_147_356_800, 0)
    assert parse_instant("0000-01-01") == Instant(-62_167_219_200, 0)


def test_leap_second_lies_between_its_neighbours_but_counts_as_the_later() -> None:
    before, leap, after = map(parse_instant, ("2016-12-31T23:59:59.999999", "2016-12-31T23:59:60.5Z", "2017-01-01"))
    assert before is not None
    assert leap is not None
    assert after is not None
    assert before < leap < after
    assert leap.micros == after.micros + 500_000
