"""Pictures of streams that run or ran lately: a reloaded page gets back what it had seen."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from hmac import compare_digest  # takes as long for locks that nearly fit
from typing import Any, NamedTuple

STREAMS = 16
BYTES = 96 * 2**20


class Picture(NamedTuple):
    """One px frame of a stream, compressed."""

    px_frame: int
    image: bytes


@dataclass
class Shown:
    """What one run of a node has shown to whoever has the secret of `lock`.

    `facts` are those of the event.
    """

    lock: str
    prompt_id: str
    node_id: str
    workflow_id: str | None
    facts: dict[str, Any] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    spacing: int = 1  # px frames between pictures, where they were thinned

    @property
    def place(self) -> tuple[str, str | None, str]:
        """Whose it is and where it stands: a newer run takes the place of an older one."""
        return self.lock, self.workflow_id, self.node_id

    @property
    def bytes(self) -> int:
        return sum(len(picture.image) for picture in self.pictures)

    def thin(self, most_bytes: int) -> None:
        """Drop pictures until the rest fits, spread evenly over the whole length."""
        while self.bytes > most_bytes and len(self.pictures) > 2:
            kept = self.pictures[:1]
            for picture in self.pictures[1:-1]:
                if picture.px_frame - kept[-1].px_frame >= self.spacing:
                    kept.append(picture)
            kept.append(self.pictures[-1])
            if len(kept) == len(self.pictures):
                self.spacing *= 2
            self.pictures = kept


class LiveStore:
    """A bounded number of streams and bytes; any thread may call it.

    When there are too many bytes, the oldest streams go; the newest, if it is too large alone, is
    thinned instead.
    """

    def __init__(self, streams: int = STREAMS, limit_bytes: int = BYTES) -> None:
        self._limit_streams, self._limit_bytes = streams, limit_bytes
        self._streams: list[Shown] = []
        self._bytes = 0
        self._lock = threading.Lock()

    def begin(self, shown: Shown) -> None:
        """A node begins to show a stream."""
        with self._lock:
            self._streams = [old for old in self._streams if old.place != shown.place]
            self._streams = [*self._streams, shown][-self._limit_streams :]
            self._bytes = sum(stream.bytes for stream in self._streams)

    def add(self, shown: Shown, facts: dict[str, Any], pictures: list[Picture]) -> None:
        """More pictures of a stream, and what is known of it now. Changes `shown`."""
        with self._lock:
            shown.facts = facts
            shown.pictures.extend(pictures)
            if all(stream is not shown for stream in self._streams):
                return  # newer ones have taken its place
            self._bytes += sum(len(picture.image) for picture in pictures)
            while self._bytes > self._limit_bytes:
                if self._streams[0] is not shown:
                    self._bytes -= self._streams.pop(0).bytes
                    continue
                before = shown.bytes
                shown.thin(self._limit_bytes // 2)
                self._bytes -= before - shown.bytes
                return

    def of_page(self, lock: str) -> list[dict[str, Any]]:
        """Facts of every stream of a page, oldest first."""
        with self._lock:
            return [s.facts for s in self._streams if compare_digest(s.lock, lock) and s.facts]

    def after(
        self, lock: str, prompt_id: str, node_id: str, px_frame: int, limit_bytes: int
    ) -> tuple[dict[str, Any], list[Picture]] | None:
        """Facts of one stream and its pictures after a px frame, as many as fit, one at least.

        None when there is no such stream.
        """
        with self._lock:
            for shown in self._streams:
                if not compare_digest(shown.lock, lock):
                    continue
                if (shown.prompt_id, shown.node_id) == (prompt_id, node_id):
                    return shown.facts, list(_fitting(shown.pictures, px_frame, limit_bytes))
        return None


def _fitting(pictures: list[Picture], px_frame: int, limit_bytes: int) -> Iterator[Picture]:
    left = limit_bytes
    for picture in pictures:
        if picture.px_frame <= px_frame:
            continue
        if left < len(picture.image) and left < limit_bytes:
            return
        left -= len(picture.image)
        yield picture
