"""Segments: which blocks a stream's window is made of after its prompt has changed. Plain integers.

A switch to another prompt begins a segment. The window is rebuilt from the kept blocks by clean
passes under the new prompt, in order, as if the stream began with them:

mode     kept blocks                   sinks                      absolute positions
carry    the window stays as it was    unchanged                  continue
recache  all that the next block sees  unchanged, rewritten       stay, and continue
flush    the sinks' and the last one   unchanged, rewritten       count from 0 again
cut      none                          the new segment's first    count from 0 again

With "carry" no segment begins: only later blocks read the new prompt. A rewritten block costs one
clean pass; for the last block that pass is due anyway. Latent frames, slots and ranks are counted
within the segment; relative positions are counted within the window whatever the mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from .window import WindowPolicy

CARRY = "carry"


@dataclass(frozen=True)
class Segment:
    """A part of a stream that shares one window.

    policy: of the window, latent frames counted within the segment. kept: blocks of the stream
    that it begins with, rewritten under the prompt of block `first`, the first one made in it.
    positions: absolute positions of the kept latent frames; later ones are counted from
    `next_position`. A block's *place* is its index within the segment.
    """

    policy: WindowPolicy
    kept: tuple[int, ...] = ()
    first: int = 0
    positions: tuple[int, ...] = ()
    next_position: int = 0

    @classmethod
    def of(cls, policy: WindowPolicy, switches: Iterable[str]) -> Segment:
        """The last segment of a stream whose blocks followed these switches."""
        segment = cls(policy)
        for block, switch in enumerate(switches):
            segment = segment.before(block, switch)
        return segment

    def before(self, block: int, switch: str) -> Segment:
        """The segment of block `block`, made after such a switch; this one unless it begins one."""
        return _MODES[switch](self, block) if block else self

    def place(self, block: int) -> int:
        """Place of a block of the stream that was made in this segment."""
        return len(self.kept) + block - self.first

    def block(self, place: int) -> int:
        """The block of the stream at a place."""
        return self.kept[place] if place < len(self.kept) else self.first + place - len(self.kept)

    def prompt(self, place: int) -> int:
        """The block of the stream whose prompt the clean pass at a place reads."""
        return max(self.block(place), self.first)

    def block_ids(self, blocks: int, id_of: Callable[[int], str]) -> tuple[str, ...]:
        """Ids of what is cached, place by place, for a stream of `blocks` blocks.

        id_of(block): the id of a block of the stream. The id of a rewritten block also names the
        block whose prompt rewrote it.
        """
        return tuple(self.block_id(place, id_of) for place in range(self.place(blocks)))

    def block_id(self, place: int, id_of: Callable[[int], str]) -> str:
        """Id of what is cached at a place."""
        own = id_of(self.block(place))
        return own if place >= len(self.kept) else f"{own}~{id_of(self.first)}"

    def frames_before(self, block: int) -> int:
        """Latent frames of the segment before a block of the stream that was made in it."""
        return self.policy.frames_before(self.place(block))

    def position(self, frame: int) -> int:
        """Absolute position of a latent frame of the segment."""
        made = frame - len(self.positions)
        return self.next_position + made if made >= 0 else self.positions[made]

    def _recache(self, block: int) -> Segment:
        seen = self.policy.seen(self.place(block))
        spans = [self.policy.span(place) for place in seen]
        positions = [self.position(f) for span in spans for f in range(span.first, span.end)]
        end = self.position(self.frames_before(block))
        return replace(self._begin(block, seen), positions=tuple(positions), next_position=end)

    def _flush(self, block: int) -> Segment:
        last = self.place(block) - 1
        return self._begin(block, [*self.policy.sinks(last), last])

    def _begin(self, block: int, places: Sequence[int]) -> Segment:
        """A segment from the blocks at these places on, positions counted from 0."""
        frames = self.policy.span(places[0]).frames if places else self.policy.frames_per_block
        return Segment(
            replace(self.policy, first_block_frames=frames),
            tuple(self.block(place) for place in places),
            block,
        )


_MODES: dict[str, Callable[[Segment, int], Segment]] = {
    CARRY: lambda segment, block: segment,
    "recache": Segment._recache,
    "flush": Segment._flush,
    "cut": lambda segment, block: segment._begin(block, ()),
}

SWITCHES = tuple(_MODES)


def checked_switch(mode: str) -> str:
    """The mode itself. ValueError unless it is one of `SWITCHES`."""
    if mode not in SWITCHES:
        raise ValueError(f"the switch is {mode!r}; choose {', '.join(SWITCHES[:-1])} or cut")
    return mode


def starts_afresh(switch: str) -> bool:
    """Whether a decoder is reset before a block that followed this switch.

    After a cut the transformer makes the first frame of a new video: it stands for 1 px frame, not
    4.
    """
    return switch == "cut"
