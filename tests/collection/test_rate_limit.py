"""Token buckets under a clock of ours."""

import pytest

from qdrantlite.collection.rate_limit import TokenBucket
from qdrantlite.errors import RateLimited


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_begins_full_and_fills_evenly() -> None:
    clock = Clock()
    bucket = TokenBucket("Read", clock)
    for _ in range(6):
        bucket.take(1, 6)
    with pytest.raises(RateLimited) as refused:
        bucket.take(1, 6)
    assert refused.value.retry_after_s == 10
    assert refused.value.message == (
        "Rate limiting exceeded: Read rate limit exceeded: Operation requires 1 tokens but only 0.0 were available. "
        "Retry after 10s"
    )
    clock.now_s += 9.5
    with pytest.raises(RateLimited) as refused:
        bucket.take(1, 6)
    assert refused.value.retry_after_s == 1
    clock.now_s += 0.5
    bucket.take(1, 6)
    clock.now_s += 3600
    bucket.take(6, 6)
    with pytest.raises(RateLimited):
        bucket.take(1, 6)


def test_what_is_refused_takes_nothing() -> None:
    bucket = TokenBucket("Write", Clock())
    bucket.take(4, 10)
    with pytest.raises(RateLimited):
        bucket.take(7, 10)
    bucket.take(6, 10)


def test_more_than_the_bucket_holds_is_never_there() -> None:
    bucket = TokenBucket("Write", Clock())
    with pytest.raises(RateLimited, match="larger than rate limiter capacity") as refused:
        bucket.take(11, 10)
    assert refused.value.retry_after_s is None
    bucket.take(10, 10)


def test_another_limit_begins_full_and_none_lets_everything_through() -> None:
    bucket = TokenBucket("Read", Clock())
    bucket.take(5, 5)
    bucket.take(1000, None)
    bucket.take(7, 7)
    with pytest.raises(RateLimited):
        bucket.take(1, 7)
