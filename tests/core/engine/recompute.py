"""A plain slow stream: everything that is kept is concatenated, masked and recomputed."""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch

import causvid_core as cv
from causvid_core.model.forward import denoise
from causvid_core.model.prompt import EncodedPrompt, encode_prompt
from causvid_core.model.rope import Rotary, rotate


class Kept(NamedTuple):
    """A finished block: latents, the prompt that it is read under, positions of its frames."""

    latents: torch.Tensor
    context: torch.Tensor
    positions: list


def window_of(recipe, frames):
    """The frames that a window holds once `frames` frames have come: appended and dropped."""
    kept = []
    for frame in range(frames):
        kept.append(frame)
        if recipe.window is not None and len(kept) > recipe.window:
            kept.pop(recipe.sink)
    return kept


class Recompute:
    """Self-attention over a whole segment; every block looks at its own window, from scratch."""

    def __init__(self, recipe, config, blocks, grid):
        self.recipe, self.blocks, self.tokens = recipe, blocks, grid[0] * grid[1]
        self.rotary = Rotary(config.head_dim, grid, torch.device("cpu"))

    def __call__(self, layer, q, k, v):
        split = [x.unflatten(1, (-1, self.tokens)) for x in (q, k, v)]
        positions = [position for block in self.blocks for position in block]
        outputs, end = [], 0
        for block in self.blocks:
            own, end = range(end, end + len(block)), end + len(block)
            kept = window_of(self.recipe, end)
            places = [positions[frame] for frame in kept]
            if self.recipe.positions == "relative":
                places = list(range(len(kept)))
            q_now = split[0][:, list(own)].flatten(1, 2)
            k_now, v_now = (x[:, kept].flatten(1, 2) for x in split[1:])
            q_now = rotate(q_now, self.rotary.table([places[kept.index(f)] for f in own]))
            k_now = rotate(k_now, self.rotary.table(places))
            scores = torch.einsum("bnhd,bmhd->bhnm", q_now, k_now) / q.shape[-1] ** 0.5
            outputs.append(torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), v_now))
        return torch.cat(outputs, dim=1)


def joined_prompt(bound, contexts, tokens):
    """One prompt for blocks of so many tokens each, in which each block sees its own alone."""
    prompts = [encode_prompt(bound, context) for context in contexts]
    rows = []
    for own, count in enumerate(tokens):
        parts = []
        for other, prompt in enumerate(prompts):
            shape = (prompt.keys[0].shape[0], 1, 1, prompt.keys[0].shape[1])
            bias = torch.zeros(shape) if prompt.bias is None else prompt.bias
            parts.append(bias if other == own else torch.full(shape, -torch.inf))
        rows.append(torch.cat(parts, dim=3).expand(-1, -1, count, -1))
    layers = range(bound.config.num_layers)
    return EncodedPrompt(
        tuple(torch.cat([prompt.keys[layer] for prompt in prompts], dim=1) for layer in layers),
        tuple(torch.cat([prompt.values[layer] for prompt in prompts], dim=1) for layer in layers),
        torch.cat(rows, dim=2),
    )


@dataclass
class SlowStream:
    """A stream as the documents describe it, without a cache.

    noise(block, step, shape) as in `rollout`. `segment` are the blocks that are kept at all.
    """

    noise: object
    batch: int = 1
    height: int = 4
    width: int = 6
    segment: list = field(default_factory=list)
    made: list = field(default_factory=list)

    def block(self, model, recipe, context, switch="carry"):
        """Make a block after a switch; returns its latents."""
        bound, index = cv.bind(model), len(self.made)
        context = context.expand(self.batch, -1, -1)
        frames = (index == 0 and recipe.first_block_frames) or recipe.frames_per_block
        following = self.segment[-1].positions[-1] + 1 if self.segment else 0
        if switch != "carry":
            self.segment = [
                block._replace(context=context) for block in self._kept(recipe, switch, frames)
            ]
        if switch in ("flush", "cut"):
            following = 0
            for number, block in enumerate(self.segment):
                positions = range(following, following + len(block.positions))
                self.segment[number] = block._replace(positions=list(positions))
                following = positions.stop
        own = list(range(following, following + frames))
        x0 = self._denoise(bound, recipe, context, own, index)
        self.segment.append(Kept(x0, context, own))
        self.made.append(x0)
        return x0

    def _kept(self, recipe, switch, frames):
        """The blocks that the switch keeps, whole."""
        block_of = [n for n, block in enumerate(self.segment) for _ in block.positions]
        sinks = recipe.sink if recipe.window else 0
        if switch == "recache":
            seen = window_of(recipe, len(block_of) + frames)
            kept = {block_of[frame] for frame in seen if frame < len(block_of)}
        elif switch == "flush":
            kept = {*block_of[:sinks], block_of[-1]}
        else:
            kept = set()
        return [self.segment[number] for number in sorted(kept)]

    def _denoise(self, bound, recipe, context, own, index):
        grid = bound.config.grid(self.height, self.width)
        positions = [*(block.positions for block in self.segment), own]
        attend = Recompute(recipe, bound.config, positions, grid)
        tokens = [len(block) * grid[0] * grid[1] for block in positions]
        contexts = [*(block.context for block in self.segment), context]
        prompt = joined_prompt(bound, contexts, tokens)
        before = [block.latents for block in self.segment]
        clean = [recipe.context_timestep] * sum(map(len, positions[:-1]))
        shape = (self.batch, 16, len(own), self.height, self.width)
        x = x0 = self.noise(index, 0, shape)
        for step, (timestep, sigma) in enumerate(zip(*recipe.schedule(index), strict=True)):
            if step:
                x = (1 - sigma) * x0 + sigma * self.noise(index, step, shape)
            timesteps = torch.tensor([clean + [timestep] * len(own)])
            with torch.no_grad():
                flow = denoise(bound, torch.cat((*before, x), dim=2), timesteps, attend, prompt)
            x0 = x - sigma * flow[:, :, -len(own) :]
        return x0
