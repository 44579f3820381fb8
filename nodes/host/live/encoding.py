"""Px frames from the device to small compressed pictures, while the rollout continues."""

import io
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ..notice import log
from .store import Picture

LONGEST_SIDE_PX = 512
SMALL_PX = 256  # pictures up to this side keep their colours sharp
WAITING = 4  # batches; the oldest is dropped when one more comes
PICTURES_PER_SECOND = 32.0
BYTES_PER_SECOND = 1.5e6
BURST_SECONDS = 2.0


class Arriving:
    """Px frames `[T, 3, H, W]` in 0..1 as bytes `[T, H, W, 3]`, copied without waiting for them.

    Or such bytes on the CPU, which are kept as they are until `images` is called. longest: they are
    shrunk by a whole number until their longest side has so many px at most.
    """

    def __init__(self, frames: Tensor, longest: int = LONGEST_SIDE_PX) -> None:
        frames = frames.detach()
        self._done: torch.cuda.Event | None = None
        self._left_to_shrink = 1
        if frames.dtype == torch.uint8:
            self._bytes = frames
            self._left_to_shrink = _times_smaller(frames.shape[1:3], longest)
            return
        frames, times = frames.float(), _times_smaller(frames.shape[2:], longest)
        if times > 1:
            frames = F.avg_pool2d(frames, times)
        small = frames.mul(255).round_().clamp_(0, 255).byte().permute(0, 2, 3, 1).contiguous()
        self._bytes = small
        if small.device.type == "cuda":
            self._bytes = torch.empty(small.shape, dtype=small.dtype, pin_memory=True)
            self._bytes.copy_(small, non_blocking=True)
            self._done = torch.cuda.Event()
            self._done.record(torch.cuda.current_stream(small.device))

    def __len__(self) -> int:
        return len(self._bytes)

    @property
    def here(self) -> bool:
        """Whether `images` would not have to wait."""
        return self._done is None or self._done.query()

    def images(self) -> list[Image.Image]:
        """The px frames, once they are here."""
        if self._done is not None:
            self._done.synchronize()
        images = [Image.fromarray(frame) for frame in self._bytes.cpu().numpy()]
        if self._left_to_shrink == 1:
            return images
        return [image.reduce(self._left_to_shrink) for image in images]


class Batch(NamedTuple):
    """Px frames that follow each other, the first of them being `px_frame`.

    since: px frame behind those of the batch before. block: the newest finished one of the run.
    """

    frames: Arriving
    px_frame: int
    since: int
    block: int


class Encoder:
    """One thread that compresses batches in order; `push` never waits.

    deliver(batch, pictures, arrived) is called in the thread with what was chosen of a batch and
    the time.monotonic() at which its frames were there. What it raises is logged, and ends it.
    """

    def __init__(self, deliver: Callable[[Batch, list[Picture], float], None]) -> None:
        self._deliver = deliver
        self._waiting: deque[Batch] = deque(maxlen=WAITING)
        self._changed = threading.Condition()
        self._ending = False
        self._allowance = _Allowance()
        self._last: bytes | None = None
        self._thread = threading.Thread(target=self._work, name="causvid-live", daemon=True)
        self._thread.start()

    def push(self, batch: Batch) -> None:
        """Hand over a batch; with too many of them waiting, the oldest is dropped."""
        with self._changed:
            self._waiting.append(batch)
            self._changed.notify()

    @property
    def is_short(self) -> bool:
        """Whether pictures come faster than they may be sent."""
        return self._allowance.is_short

    def close(self, finish: bool) -> None:
        """End the thread; finish: after the batches that wait."""
        with self._changed:
            self._ending = True
            if not finish:
                self._waiting.clear()
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        try:
            while (batch := self._next()) is not None:
                images = batch.frames.images()
                arrived = time.monotonic()
                self._deliver(batch, self._compressed(batch.px_frame, images), arrived)
        except Exception:  # a picture less must never cost the artist the run
            log.exception("CausVid: the live view has stopped")

    def _next(self) -> Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending)
            return self._waiting.popleft() if self._waiting else None

    def _compressed(self, first: int, images: list[Image.Image]) -> list[Picture]:
        pictures = []
        for index in self._allowance.choose(len(images)):
            image = images[index]
            if (raw := image.tobytes()) == self._last:
                continue  # quick decoders may repeat a picture until the next latent frame
            self._last = raw
            pictures.append(Picture(first + index, _jpeg(image)))
        self._allowance.spend(pictures)
        return pictures


class _Allowance:
    """How many pictures may be made now, by number and by bytes; what is not used adds up a bit."""

    def __init__(self) -> None:
        self._pictures = self._most_pictures = PICTURES_PER_SECOND * BURST_SECONDS
        self._bytes = self._most_bytes = BYTES_PER_SECOND * BURST_SECONDS
        self._mean_bytes = 1.0
        self._then = time.monotonic()

    @property
    def is_short(self) -> bool:
        """Whether less is left than a second's worth."""
        return self._pictures < PICTURES_PER_SECOND or self._bytes < BYTES_PER_SECOND

    def choose(self, count: int) -> list[int]:
        """Evenly spread ones of `count` px frames, the first one always."""
        now = time.monotonic()
        passed, self._then = now - self._then, now
        self._pictures = min(self._most_pictures, self._pictures + passed * PICTURES_PER_SECOND)
        self._bytes = min(self._most_bytes, self._bytes + passed * BYTES_PER_SECOND)
        allowed = int(min(self._pictures, self._bytes / self._mean_bytes))
        allowed = min(count, max(1, allowed))
        return [round(i * count / allowed) for i in range(allowed)]

    def spend(self, pictures: list[Picture]) -> None:
        """Count what was made."""
        self._pictures -= len(pictures)
        made = sum(len(picture.image) for picture in pictures)
        self._bytes -= made
        if pictures:
            self._mean_bytes = made / len(pictures)


def _times_smaller(size: Sequence[int], longest: int) -> int:
    """By what whole number a size is divided to be no longer than that."""
    return -(-max(size) // longest)


def _jpeg(image: Image.Image) -> bytes:
    small = max(image.size) <= SMALL_PX
    target = io.BytesIO()
    image.save(target, "JPEG", quality=90 if small else 85, subsampling=0 if small else 2)
    return target.getvalue()
