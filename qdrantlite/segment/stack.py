"""A stack of immutable segments: what a commit adds lies on top, what it takes away is masked where it lies.

The one mechanism below payload indexes and sparse vectors. Nothing in a stack is ever changed: a commit makes a new
stack that shares its segments, so whoever holds an old one needs no lock. Of each offset at most one segment has
entries that count; the older ones are masked (``forgotten``). Segments on top are small and merged at once; the others
are merged behind the commits (``segment.merge_policy`` says when), which changes no answer.

Knows neither what segments hold nor where they are kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeAlias, TypeVar

from pyroaring import AbstractBitMap, BitMap

from qdrantlite.segment.merge_policy import SegmentSize, choose_merge, merges_at_once

NOTHING: AbstractBitMap = BitMap()


class Segment(Protocol):
    """Entries of some offsets; immutable."""

    @property
    def size(self) -> int:
        """Number of entries."""
        ...

    @property
    def held(self) -> AbstractBitMap:
        """Offsets of which there is anything here, not to be changed."""
        ...


S = TypeVar("S", bound=Segment)
Kept = TypeVar("Kept")


class Unread(Generic[S]):
    """A segment that nobody has asked yet: ``load`` brings it, or raises. What stacks themselves ask is known."""

    __slots__ = ("_load", "_loaded", "held", "size")

    def __init__(self, size: int, held: AbstractBitMap, load: Callable[[], S]) -> None:
        self.size = size
        self.held = held
        self._load = load
        self._loaded: S | None = None

    @property
    def is_read(self) -> bool:
        """Whether it was asked for."""
        return self._loaded is not None

    def get(self) -> S:
        """The segment, loaded once; threads that ask at the same time may each load it."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded


@dataclass(frozen=True, slots=True, eq=False)
class Layer(Generic[S]):
    """A segment in a stack: ``forgotten`` offsets count no more, ``file`` names where it is kept on disk, if it is."""

    source: S | Unread[S]
    forgotten: AbstractBitMap = NOTHING
    file: str | None = None

    @property
    def segment(self) -> S:
        """The segment; what is unread is loaded now. Raises what that raises."""
        return self.source.get() if isinstance(self.source, Unread) else self.source

    @property
    def size(self) -> int:
        """Number of entries, forgotten ones included."""
        return self.source.size

    @property
    def held(self) -> AbstractBitMap:
        """Offsets of which there is anything in the segment."""
        return self.source.held

    @property
    def counts(self) -> bool:
        """Whether any of its offsets does."""
        return len(self.forgotten) < len(self.held)

    def without(self, offsets: AbstractBitMap) -> "Layer[S]":
        """With these masked, too."""
        masked = self.held & offsets
        return replace(self, forgotten=self.forgotten | masked) if masked else self

    @property
    def share_forgotten(self) -> float:
        """Of its offsets, those that count no more."""
        held = len(self.held)
        return len(self.forgotten) / held if held else 0.0


Merge: TypeAlias = Callable[[Sequence[Layer[S]]], S]
"""One segment with the entries of several that are not forgotten."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack(Generic[S]):
    """Layers, oldest first."""

    layers: tuple[Layer[S], ...] = ()

    def __iter__(self) -> Iterator[Layer[S]]:
        return iter(self.layers)

    @property
    def size(self) -> int:
        """Number of entries, forgotten ones included."""
        return sum([layer.size for layer in self.layers])

    def added(self, segment: S, merge: Merge[S]) -> "Stack[S]":
        """With a segment of offsets of which nothing here counts. Takes time in proportion to it, within bounds."""
        if not segment.held:
            return self
        layers = [*self.layers, Layer(segment)]
        while len(layers) > 1 and merges_at_once(layers[-2].size, layers[-1].size):
            layers[-2:] = [Layer(merge(layers[-2:]))]
        return Stack(tuple(layers))

    def without(self, offsets: AbstractBitMap) -> "Stack[S]":
        """With all entries of these offsets masked."""
        layers = tuple([layer.without(offsets) for layer in self.layers])
        return Stack(tuple([layer for layer in layers if layer.counts]))

    def among(self, offsets: AbstractBitMap) -> "Stack[S]":
        """Only the layers that hold some of these offsets."""
        return Stack(tuple([layer for layer in self.layers if not layer.held.isdisjoint(offsets)]))

    def settled(self, merge: Merge[S]) -> "Stack[S]":
        """With all merged that is due."""
        stack = self
        while (due := stack.due()) is not None:
            segment = merge(due)
            settled = stack.replaced(due, segment)
            assert settled is not None
            stack = settled
        return stack

    def due(self, *, at_rest: bool = False) -> tuple[Layer[S], ...] | None:
        """Adjacent layers that ought to be one segment, see ``merge_policy``; None when all is well."""
        sizes = [SegmentSize(layer.size, layer.share_forgotten) for layer in self.layers]
        chosen = choose_merge(sizes, at_rest=at_rest)
        return None if chosen is None else self.layers[chosen.start : chosen.stop]

    def replaced(self, merged: Sequence[Layer[S]], segment: S, file: str | None = None) -> "Stack[S] | None":
        """With one segment in the place of adjacent layers it was merged from; what was masked meanwhile stays so.

        None when these layers are here no more.
        """
        try:
            first = next(at for at, layer in enumerate(self.layers) if layer.source is merged[0].source)
        except StopIteration:
            return None
        present = self.layers[first : first + len(merged)]
        if len(present) < len(merged) or any(
            now.source is not then.source for now, then in zip(present, merged, strict=True)
        ):
            return None
        masked = NOTHING.union(*(now.forgotten - then.forgotten for now, then in zip(present, merged, strict=True)))
        layer = Layer(segment, file=file).without(masked)
        kept = (layer,) if layer.counts else ()
        return Stack((*self.layers[:first], *kept, *self.layers[first + len(merged) :]))

    def kept(self, files: Mapping[int, tuple[str, Kept]], load: Callable[[Kept], S]) -> "Stack[S]":
        """With segments, by their identity, replaced by what ``load`` makes of the files in which they are kept now."""

        def layer_of(each: Layer[S]) -> Layer[S]:
            found = files.get(id(each.source))
            return each if found is None else replace(each, source=load(found[1]), file=found[0])

        return Stack(tuple([layer_of(each) for each in self.layers]))
