"""A small message is decoded once; a large one, and one that is refused, each time it comes."""

import pytest

from qdrantlite.errors import ValidationFailed
from qdrantlite.wire.grpc.remembered import remembered
from qdrantlite.wire.pb import qdrant_common as pb

BYTES_MAX = 20


class Decoder:
    """Decodes the key of a condition, and counts how often; refuses an empty one."""

    def __init__(self, entries: int = 8) -> None:
        self.calls = 0
        self.decode = remembered(pb.IsNullCondition, bytes_max=BYTES_MAX, entries=entries)(self._decode)

    def _decode(self, message: pb.IsNullCondition) -> tuple[str]:
        self.calls += 1
        if not message.key:
            raise ValidationFailed("key: empty")
        return (message.key,)

    def __call__(self, key: str) -> tuple[str]:
        return self.decode(pb.IsNullCondition(key=key))


def test_equal_messages_are_decoded_once() -> None:
    decoder = Decoder()
    assert decoder("a") is decoder("a")
    assert decoder("b") == ("b",)
    assert decoder.calls == 2


def test_a_message_changed_after_it_was_decoded_is_another() -> None:
    decoder = Decoder()
    message = pb.IsNullCondition(key="a")
    before = decoder.decode(message)
    message.key = "b"
    assert (before, decoder.decode(message), decoder("a")) == (("a",), ("b",), ("a",))


def test_messages_beyond_the_bound_are_decoded_each_time() -> None:
    decoder = Decoder()
    longest = "x" * BYTES_MAX
    while pb.IsNullCondition(key=longest).ByteSize() > BYTES_MAX:
        longest = longest[1:]
    assert decoder(longest) == decoder(longest) == (longest,)
    assert decoder.calls == 1
    assert decoder(longest + "x") == decoder(longest + "x") == (longest + "x",)
    assert decoder.calls == 3


def test_entries_are_bounded() -> None:
    decoder = Decoder(entries=2)
    for key in ("a", "b", "c", "a"):
        assert decoder(key) == (key,)
    assert decoder.calls == 4


def test_refusals_are_raised_anew() -> None:
    decoder = Decoder()
    raised = []
    for _ in range(2):
        with pytest.raises(ValidationFailed) as caught:
            decoder("")
        raised.append(caught.value)
    assert raised[0] is not raised[1]
    assert decoder.calls == 2


def test_a_decorated_decoder_keeps_its_name_and_docstring() -> None:
    @remembered(pb.IsNullCondition, bytes_max=BYTES_MAX, entries=1)
    def decode_key(message: pb.IsNullCondition) -> str:
        """The key."""
        return message.key

    assert (decode_key.__name__, decode_key.__doc__) == ("decode_key", "The key.")
