"""A running node's px frames in the browser of whoever queued it, while they are made.

The event `causvid.frames` tells where the run stands, see `LiveView._facts`, and the page fetches
the frames from `route`. Nothing is made for a prompt that no page queued, nothing is broadcast, and
a page that does not keep up is spared.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ....causvid_core.media import TinyDecoder
from ....causvid_core.stream import Block, StreamState, WindowPolicy, starts_afresh
from ....causvid_core.stream.geometry import FPS, SPACE_SCALE, TIME_SCALE, px_frames_from_latent
from ..messages import message
from ..notice import show
from .client import LiveClient, running_client
from .encoding import Arriving, Batch, Encoder
from .quick_decoder import colours, quick_decoder
from .route import STORE
from .store import Picture

RUNNING, DONE, STOPPED = "running", "done", "stopped"
STILLS_PER_SECOND = 4.0


class LiveView:
    """What a node shows while it lengthens `state` by `blocks` blocks; use it in a `with`.

    decoded: the node itself decodes and gives `frames`; else a quick decoder does. `block`
    gets every finished block in any case. `fps`: px frames per second of the video, which may be
    set until there are frames. Nothing here waits for the device.
    """

    def __init__(
        self, model: ModelPatcher, state: StreamState, blocks: int, *, decoded: bool = False
    ) -> None:
        self.fps: float = FPS
        self._model = model
        self._decoder = self._rough = colours(model)
        self._state, self.decoded = state, decoded
        self._first_block, self._blocks = state.blocks, blocks
        self._block = -1
        self._cuts = sum(starts_afresh(block.switch) for block in state.history[1:])
        self._start = self._next_px = self._px_frames(state.frames)
        self._sizes = (state.width * SPACE_SCALE, state.height * SPACE_SCALE)
        self._client: LiveClient | None = None
        self._encoder: Encoder | None = None
        self._pace = _Pace()
        self._newest_px = -1  # of the pictures that were made

    def __enter__(self) -> LiveView:
        self._client = running_client()
        if self._client is not None:
            if not self.decoded:
                self._decoder = quick_decoder(self._model)
            STORE.begin(self._client.shown)
            self._encoder = Encoder(self._deliver)
        self._pace = _Pace()
        if self._state.history and not self.decoded:
            self._prime()
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if self._encoder is None:
            return
        self._encoder.close(finish=kind is None)
        self._encoder = None
        ended = DONE if kind is None else STOPPED
        facts = self._facts(ended, self._block, self._next_px, self._next_px)
        self._client.send(facts, [], urgent=True)

    def block(self, block: Block) -> None:
        """A finished block; its latents are only read."""
        self._block = block.index - self._first_block
        if block.index and starts_afresh(block.switch):
            self._cuts += 1
            self._decoder.reset()
        if self._encoder is None or self.decoded:
            return
        latents = block.latents[:1]
        if self._decoder.reach == 1 and latents.shape[2] > 2 and self._encoder.is_short:
            # More than may be shown: only the last latent frame, and the one before for its memory.
            self._decoder.reset()
            self._decoder.push(latents[:, :, -2:])
            *_, px = self._popped()
        else:
            self._decoder.push(latents)
            px = torch.cat(list(self._popped()))
        self._push(px, self._px_frames(block.first_frame + latents.shape[2]) - len(px))

    def frames(self, px: Tensor) -> None:
        """The next px frames of a node that decodes for itself: bytes `[T, H, W, 3]` on the CPU."""
        self._push(px, self._next_px)

    def still(self, x0: Tensor) -> Arriving:
        """The newest px frame of a block in the making, `[B, 16, t, h, w]`, on its way."""
        decoder, memory = self._decoder, self._decoder.memory
        decoder.push(x0[:1, :, -1:])
        [newest] = self._popped()
        if self._decoder is decoder:
            decoder.memory = memory
        return Arriving(newest[-1:])

    @property
    def stills_per_second(self) -> float:
        """How often a still is no burden."""
        heavy = isinstance(self._decoder, TinyDecoder)
        return STILLS_PER_SECOND / 2 if heavy else STILLS_PER_SECOND

    def _prime(self) -> None:
        """Let the quick decoder know what came before."""
        before: list[Tensor] = []
        for block in reversed(self._state.history):
            before[:0] = block.latents[:1].unbind(2)
            if len(before) >= self._decoder.reach or starts_afresh(block.switch):
                break
        self._decoder.push(torch.stack(before[-self._decoder.reach :], dim=2))
        for _ in self._popped():
            pass

    def _popped(self) -> Iterator[Tensor]:
        """Decoded px frames `[t, 3, H, W]`, a latent frame's at a time."""
        while True:
            try:
                px = self._decoder.pop()
            except torch.OutOfMemoryError:
                if self._decoder is self._rough:
                    raise
                show(message("live.rough"))
                waiting = self._decoder.memory.waiting
                self._decoder = self._rough
                self._decoder.push(waiting[0])  # stands for what came before
                self._decoder.pop()
                self._decoder.push(torch.cat(waiting, dim=2))
                continue
            if px is None:
                return
            yield px[0].transpose(0, 1)

    def _push(self, frames: Tensor, px_frame: int) -> None:
        """Px frames, as `Arriving` takes them, from `px_frame` on; those before are left out."""
        if self._encoder is not None:
            self._encoder.push(Batch(Arriving(frames), px_frame, self._next_px, self._block))
        self._next_px = px_frame + len(frames)

    def _deliver(self, batch: Batch, pictures: list[Picture], arrived: float) -> None:
        reached = batch.px_frame + len(batch.frames)
        self._pace.add(reached - self._start, arrived)
        if pictures:
            self._newest_px = pictures[-1].px_frame
        self._client.send(self._facts(RUNNING, batch.block, batch.since, reached), pictures)

    def _facts(self, state: str, block: int, first_px: int, next_px: int) -> dict[str, Any]:
        """What the event carries.

        block: index within the run of the newest finished block. first_px_frame, next_px_frame:
        the part of the stream that this event is about; a frame stands until the next one, the
        last until next_px_frame. start_px_frame, end_px_frame: what the run makes of its stream.
        newest_px_frame: the newest frame there is to fetch.
        """
        policy = WindowPolicy.of(self._state.recipe)
        end = self._px_frames(policy.frames_before(self._first_block + self._blocks))
        return {
            "state": state,
            "block": block,
            "blocks": self._blocks,
            "first_px_frame": first_px,
            "next_px_frame": next_px,
            "start_px_frame": self._start,
            "end_px_frame": self._next_px if state == DONE else end,
            "newest_px_frame": self._newest_px,
            "width": self._sizes[0],
            "height": self._sizes[1],
            "fps": self.fps,
            "generation_fps": self._pace.px_frames_per_second,
            "first_frame_seconds": self._pace.first_seconds,
        }

    def _px_frames(self, latent_frames: int) -> int:
        if not latent_frames:
            return 0
        shorter = (TIME_SCALE - 1) * self._cuts  # a cut begins with a single px frame
        return px_frames_from_latent(latent_frames) - shorter


class _Pace:
    """Px frames per second of generation, and how long the first took, from now on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._newest: tuple[int, float] | None = None

    def add(self, px_frames: int, now: float) -> None:
        """So many px frames are there."""
        self._newest = (px_frames, now)
        self._first = self._first or self._newest

    @property
    def first_seconds(self) -> float | None:
        return None if self._first is None else round(self._first[1] - self._began, 3)

    @property
    def px_frames_per_second(self) -> float | None:
        """Without the first ones, which waited for the model to be loaded, once there are more."""
        if self._first is None:
            return None
        made, passed = self._newest[0], self._newest[1] - self._began
        if self._newest[0] > self._first[0]:
            made, passed = made - self._first[0], self._newest[1] - self._first[1]
        return round(made / max(passed, 1e-3), 2)
