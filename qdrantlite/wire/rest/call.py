"""One request as handlers see it: arguments of the path, parameters of the query, the body; each read with Qdrant's
texts for what is wrong with it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

from qdrantlite.deadline import READ_DEFAULT_S, Deadline
from qdrantlite.errors import BadInput, MalformedRequest, ValidationFailed
from qdrantlite.values.payload import Json, spelled
from qdrantlite.values.point_id import PointId, parse_uuid
from qdrantlite.wire.bounds import at_least, collection_name
from qdrantlite.wire.rest.parsing import Elements, Reader
from qdrantlite.wire.rest.reading import U64_MAX
from qdrantlite.wire.rest.release import LONG_BYTES

T = TypeVar("T")

CONSISTENCIES = ("majority", "quorum", "all")
ORDERINGS = ("weak", "medium", "strong")
U64_DIGITS = 20
_FLAGS = {"true": True, "false": False}


class InvalidPart(ValidationFailed):
    """A value out of bounds; ``part`` is the part of the request that it is in."""

    def __init__(self, part: str, text: str) -> None:
        super().__init__(text)
        self.part = part

    @property
    def message(self) -> str:
        """The text in brackets, as Qdrant prints validation errors."""
        return f"Validation error in {self.part}: [{self.text}]"


class Client:
    """Who waits for an answer. Leaves at most once, on another thread than the one that works for it."""

    __slots__ = ("_give_way", "_gone", "_under")

    def __init__(self, give_way: Callable[[], None] | None = None) -> None:
        """``give_way`` lets other calls pass."""
        self._give_way = give_way
        self._under: Deadline | None = None
        self._gone = False

    def deadline(self, timeout_s: float | None, default_s: float, operation: str) -> Deadline:
        """The deadline of the call, over as soon as the client has left."""
        self._under = Deadline(timeout_s, default_s=default_s, operation=operation, give_way=self._give_way)
        if self._gone:
            self._under.cancel()
        return self._under

    def leave(self) -> None:
        """Nobody waits any more."""
        self._gone = True
        if self._under is not None:
            self._under.cancel()


@dataclass(frozen=True, slots=True)
class Call:
    """See the module. ``content`` is the body, decompressed; ``operation`` names the route in texts; ``held`` gets what
    a long body becomes, to be released when all is done.
    """

    arguments: Mapping[str, str]
    parameters: Mapping[str, str]
    content: bytes
    operation: str = ""
    client: Client = field(default_factory=Client)
    held: list[object] = field(default_factory=list)

    @property
    def collection(self) -> str:
        """Name or alias in the path. Raises InvalidPart."""
        return self._collection(new=False)

    @property
    def new_collection(self) -> str:
        """The name that a collection is to have. Raises InvalidPart."""
        return self._collection(new=True)

    def _collection(self, *, new: bool) -> str:
        try:
            return collection_name(self.arguments["collection_name"], new=new, field="name")
        except ValidationFailed as error:
            raise InvalidPart("path parameters", error.text) from None

    @property
    def point_id(self) -> PointId:
        """The id in the path, where numbers are as good as texts. Raises BadInput."""
        given = self.arguments["id"]
        number = _whole(given)
        if number is not None:
            return number
        try:
            return parse_uuid(given)
        except MalformedRequest:
            raise BadInput(f'Can not recognize "{given}" as point id') from None

    @property
    def payload_path(self) -> str:
        """The payload path in the path. Raises MalformedRequest."""
        return spelled(self.arguments["field_name"])

    def body(self, decode: Callable[[Json], T]) -> T:
        """The body as ``decode`` reads it. Raises InvalidRequest."""
        return self._kept(lambda reader: decode(reader.read(self.content)))

    def body_of_points(self, decode: Callable[[Json, Elements | None], T]) -> T:
        """Like ``body``; its member ``points``, if that is a long list, is parsed as ``decode`` reads it, apart."""
        return self._kept(lambda reader: decode(*reader.read_around(self.content, "points")))

    def _kept(self, read: Callable[[Reader], T]) -> T:
        """What ``read`` returns; what is wrong is said to be in the body."""
        try:
            value = read(Reader(made=self.held))
        except MalformedRequest as error:
            raise MalformedRequest(f"Format error in JSON body: {error.text}") from None
        except ValidationFailed as error:
            raise InvalidPart("JSON body", error.text) from None
        if len(self.content) > LONG_BYTES:
            self.held.append(value)
        return value

    @property
    def wait(self) -> bool:
        """``wait`` of a write. Raises MalformedRequest."""
        return self.flag("wait")

    def flag(self, name: str) -> bool:
        """A parameter that is true or false, and false unless given. Raises MalformedRequest."""
        given = self.parameters.get(name, "false")
        if given not in _FLAGS:
            raise _undecodable("provided string was not `true` or `false`")
        return _FLAGS[given]

    def write_deadline(self) -> Deadline:
        """The deadline of a write, which takes what time it needs unless told otherwise. Raises MalformedRequest.

        An ordering that does not exist is refused; orderings matter among replicas only.
        """
        given = self.parameters.get("ordering", "weak")
        if given not in ORDERINGS:
            expected = ", ".join(f"`{name}`" for name in ORDERINGS)
            raise _undecodable(f"unknown variant `{given}`, expected one of {expected}")
        return self._deadline(inf)

    def read_deadline(self) -> Deadline:
        """The deadline of a read. Raises MalformedRequest.

        A consistency that does not exist is refused; it matters among replicas only.
        """
        given = self.parameters.get("consistency")
        if given is not None and given not in CONSISTENCIES:
            _check_factor(given)
        return self._deadline(READ_DEFAULT_S)

    def _deadline(self, default_s: float) -> Deadline:
        seconds = self._seconds()
        if seconds == 0:
            raise _undecodable("invalid value: integer `0`, expected a nonzero u64")
        return self.client.deadline(None if seconds is None else float(seconds), default_s, self.operation)

    def count(self, name: str, default: int) -> int:
        """A parameter that is a number without sign. Raises MalformedRequest."""
        given = self._number(name)
        return default if given is None else given

    def check_timeout(self) -> None:
        """``timeout`` of a call on collections, which never wait. Raises InvalidPart for 0."""
        seconds = self._seconds()
        if seconds is not None:
            try:
                at_least("timeout", seconds, 1)
            except ValidationFailed as error:
                raise InvalidPart("query parameters", error.text) from None

    def _seconds(self) -> int | None:
        return self._number("timeout")

    def _number(self, name: str) -> int | None:
        given = self.parameters.get(name)
        if given is None:
            return None
        number = _whole(given)
        if number is None:
            raise _undecodable("invalid digit found in string")
        return number


def _check_factor(given: str) -> None:
    number = _whole(given)
    if number is None:
        raise _undecodable("failed to parse consistency type: expected `majority`, `quorum` or `all`, or a number")
    if number == 0:
        raise _undecodable("invalid value: integer `0`, expected a read consistency factor greater than 0")


def _whole(given: str) -> int | None:
    """An integer of 64 bits without sign; None for any other text."""
    if not (given.isascii() and given.isdecimal() and len(given) <= U64_DIGITS):
        return None
    number = int(given)
    return number if number <= U64_MAX else None


def _undecodable(text: str) -> MalformedRequest:
    return MalformedRequest(f"Deserialize error in query parameters: {text}")
