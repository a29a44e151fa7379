"""Dates in payloads and requests: the texts that Qdrant takes for one, and the instants they mean.

Accepted are RFC 3339 and its relatives: a blank instead of ``T``, fewer digits, no zone (then it is UTC), offsets as
``+01:00``, ``+0100`` and ``+01``, no seconds or no time where there is no zone either, blanks before numbers, years of
any sign.
"""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from qdrantlite.values.letters import WHITESPACE

MICROSECONDS = 1_000_000
DAY_S = 86_400
YEAR_MIN, YEAR_MAX = -262_143, 262_142
DATE_TEXT_MAX = 1024
"""Longer texts are no dates; without a bound, blanks and zeros would be read without end."""
DAYS_REMEMBERED = 1 << 12
USUAL_LENGTH = len("2020-01-01T00:00:00Z")
"""Texts of this form, most dates, take a tenth of the time of others."""

_DAYS_TO_EPOCH = 719_468
_MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Instant(NamedTuple):
    """A moment; instants compare as time goes.

    ``second`` counts from 1970 in UTC. ``microsecond`` is below a million but within a leap second, which is a part of
    the second before it and has a second million.
    """

    second: int
    microsecond: int

    @property
    def micros(self) -> int:
        """Microseconds since 1970; a leap second has those of the second that follows."""
        return self.second * MICROSECONDS + self.microsecond


@cache
def _forms() -> tuple[re.Pattern[str], ...]:
    """With a zone as RFC 3339 has it; with a zone as other standards have it; without a zone."""
    _ = f"[{WHITESPACE}]*+"  # As the engine reads, nothing taken is given back: "2020-01-203:04" has a day 20.
    year, number = rf"{_}(?P<year>[+-][0-9]++|[0-9]{{1,4}}+)", _ + "(?P<%s>[0-9]{1,2}+)"
    month, day, hour, minute, second = (number % name for name in ("month", "day", "hour", "minute", "second"))
    fraction = r"(?:\.(?P<fraction>[0-9]++))?"
    sign, between = "(?P<sign>[+\N{MINUS SIGN}-])(?P<zone_hours>[0-9]{2})", f"[:{WHITESPACE}]*+"
    minutes = "(?P<zone_minutes>[0-5][0-9])"
    date = f"{year}-{month}-{day}"
    loose_date, loose_time = f"{year}{_}-{month}{_}-{day}", f"{hour}{_}:{minute}{_}:{second}"
    return (
        re.compile(f"{loose_date}[Tt ]{loose_time}{fraction}{_}(?:[Zz]|[Uu][Tt][Cc]|{sign}{between}{minutes}){_}"),
        re.compile(f"{date}(?:T|{_}){hour}:{minute}:{second}{fraction}{_}(?:[Zz]|{sign}{between}{minutes}?)"),
        re.compile(f"{date}(?:(?:T|{_}){hour}:{minute}(?::{second}{fraction})?)?"),
    )


def parse_instant(text: str) -> Instant | None:
    """The moment a text means; None when it is no date, of the calendar or at all."""
    if len(text) == USUAL_LENGTH:
        day, minute, end = _usual_day(text[:10]), _usual_minute(text[10:17]), _usual_end(text[17:])
        if day is not None and minute is not None and end is not None:
            return Instant(day * DAY_S + minute + end, 0)
    if len(text) > DATE_TEXT_MAX:
        return None
    for form in _forms():
        found = form.fullmatch(text)
        if found is not None:
            return _instant(*found.groups())
    return None


def _instant(
    year: str,
    month: str,
    day: str,
    hour: str | None,
    minute: str | None,
    second: str | None,
    fraction: str | None,
    sign: str | None = None,
    zone_hours: str | None = None,
    zone_minutes: str | None = None,
) -> Instant | None:
    """From the groups of a form, in their order."""
    days = _day(int(year), int(month), int(day))
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    if days is None or hours > 23 or minutes > 59 or seconds > 60:
        return None
    microsecond = int(fraction.ljust(6, "0")[:6]) if fraction is not None else 0
    if seconds == 60:
        seconds, microsecond = 59, microsecond + MICROSECONDS
    offset_s = 0
    if sign is not None:
        away = int(zone_hours or 0)
        if away > 23:
            return None
        offset_s = (away * 60 + int(zone_minutes or 0)) * 60
        offset_s = offset_s if sign == "+" else -offset_s
    return Instant(days * DAY_S + hours * 3600 + minutes * 60 + seconds - offset_s, microsecond)


@lru_cache(maxsize=DAYS_REMEMBERED)
def _usual_day(text: str) -> int | None:
    """Days since 1970 of ``2020-01-01``; None for other texts."""
    found = re.fullmatch("([0-9]{4})-([0-9]{2})-([0-9]{2})", text)
    return None if found is None else _day(*map(int, found.groups()))


@lru_cache(maxsize=1440)
def _usual_minute(text: str) -> int | None:
    """Seconds of the day at ``T00:00:``; None for other texts."""
    found = re.fullmatch("T([01][0-9]|2[0-3]):([0-5][0-9]):", text)
    return None if found is None else int(found[1]) * 3600 + int(found[2]) * 60


@lru_cache(maxsize=60)
def _usual_end(text: str) -> int | None:
    """Seconds of ``00Z``; None for other texts, and for leap seconds."""
    return int(text[:2]) if re.fullmatch("[0-5][0-9]Z", text) is not None else None


@lru_cache(maxsize=DAYS_REMEMBERED)
def _day(year: int, month: int, day: int) -> int | None:
    """Days since 1970; None for a day that the calendar does not have."""
    if YEAR_MIN <= year <= YEAR_MAX and 1 <= month <= 12 and 1 <= day <= _days_in(year, month):
        return _days_from_epoch(year, month, day)
    return None


def _days_in(year: int, month: int) -> int:
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTH_DAYS[month - 1] + leap


def _days_from_epoch(year: int, month: int, day: int) -> int:
    """Days since 1970 of a date of the Gregorian calendar; years begin in March here, so that leap days end them."""
    year, month = (year - 1, month + 9) if month < 3 else (year, month - 3)
    return year * 365 + year // 4 - year // 100 + year // 400 + (month * 153 + 2) // 5 + day - 1 - _DAYS_TO_EPOCH
