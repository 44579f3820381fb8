"""Progress of a rollout in the host's interface, with the newest frame while it is made."""

import time
from collections.abc import Sequence
from itertools import accumulate

import comfy.model_management
import comfy.utils
from PIL import Image
from torch import Tensor

from ....causvid_core.stream import StepRecord
from ..live.encoding import Arriving
from ..live.view import LiveView

SMALLEST_PREVIEW_PX = 256


class RolloutProgress:
    """An `on_step` for `rollout`: counts every call of the model and shows the newest frame.

    A still of the view is shown once it has arrived, a step later where it comes from a GPU, so
    that nothing waits for it; only the very last one is waited for. A node that decodes for itself
    shows none. steps_per_block: denoising steps of every block of this rollout, whose first is
    `first_block`. Clean passes count as one step more, so that the bar moves evenly; the last block
    has none. Calling it raises the host's interrupt when the artist has pressed Cancel.
    """

    def __init__(self, view: LiveView, first_block: int, steps_per_block: Sequence[int]) -> None:
        self._view = view
        self._first_block = first_block
        self._done_before = [0, *accumulate(steps + 1 for steps in steps_per_block)]
        self._bar = comfy.utils.ProgressBar(self._done_before[-1] - 1)
        self._next_preview = 0.0
        self._arriving: Arriving | None = None

    def __call__(self, record: StepRecord) -> None:
        """`record` is only read."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        done = self._done_before[record.block - self._first_block] + record.step + 1
        total = self._bar.total
        self._bar.update_absolute(done, total, self._preview(record.x0, last=done == total))

    def _preview(self, x0: Tensor, last: bool) -> tuple[str, Image.Image, int] | None:
        if self._view.decoded:
            # The node will show a video, which the editor does not draw over the last still.
            return None
        now = time.monotonic()
        if last or (self._arriving is None and now >= self._next_preview):
            self._next_preview = now + 1 / self._view.stills_per_second
            self._arriving = self._view.still(x0)
        if self._arriving is None or not (last or self._arriving.here):
            return None
        [image] = self._arriving.images()
        self._arriving = None
        image = enlarged(image)
        return ("JPEG", image, max(image.size))


def enlarged(image: Image.Image) -> Image.Image:
    """The image, large enough to be looked at."""
    scale = SMALLEST_PREVIEW_PX / max(image.size)
    if scale <= 1:
        return image
    return image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
