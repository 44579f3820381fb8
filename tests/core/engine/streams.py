"""What the tests of streams share: recipes, sizes and how to roll out."""

from contextlib import contextmanager

import torch

import causvid_core as cv
from causvid_core.stream import release, snapshot

SIZE = {"height": 4, "width": 6}
RECIPES = {
    "everything": cv.Recipe(timesteps=(1000, 600), shift=5.0),
    "window": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=3),
    "relative": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=1, positions="relative"),
    "seam": cv.Recipe(timesteps=(1000, 600), shift=5.0, window=8, first_block_frames=1),
}


def latents(blocks):
    return torch.cat([block.latents for block in blocks], dim=2)


def make(model, state, context, blocks, **options):
    """All blocks of a rollout."""
    return list(cv.rollout(model, state, context, blocks, **options))


def hand_over_live(state, model):
    return state


def hand_over_light(state, model):
    return state.light()


def hand_over_exact(state, model):
    exact = snapshot(state)
    release(state)
    return exact


def hand_over_recomputed(state, model):
    return snapshot(state.light(), model)


HAND_OVERS = [hand_over_live, hand_over_light, hand_over_exact, hand_over_recomputed]
"""How a state goes from one rollout to the next."""


@contextmanager
def no_waits():
    """Every wait of this process for its CUDA device raises."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


class Stop(Exception):
    """Raised by a callback."""


def raise_stop(record):
    raise Stop


def check_integrity(live, policy=None):
    """Raise RuntimeError naming the first invariant that does not hold.

    policy: of the segment that the cache is laid out for; without it, lengths are not compared.
    """
    ids, ring, written = live.block_ids, live.ring, live.written
    tensors = () if ring is None else (*ring.keys, *ring.values)
    least = len(ids) if policy is None else policy.frames_before(len(ids))
    needed = 0 if policy is None else policy.filled(written) * live.frame_tokens
    for holds, violation in (
        (len(set(ids)) == len(ids), f"a block is held twice among {ids}"),
        (written >= least, f"{len(ids)} blocks are held, but {written} latent frames written"),
        (not ids or live.signature, "blocks are held without a signature"),
        (not written or live.frame_tokens, "a latent frame has no tokens"),
        (ring or not (ids or written), "blocks are held without a ring"),
        (ring or not live.leased, "a rollout uses it without a ring"),
        (len({(t.shape, t.dtype) for t in tensors}) < 2, "the ring's layers differ"),
        (ring is None or ring.tokens >= needed, f"{needed} tokens overflow the ring"),
    ):
        if not holds:
            raise RuntimeError(f"the cache is inconsistent: {violation}")
