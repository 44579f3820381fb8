"""A captioned world to train on: bright shapes that move, turn and grow over dark backgrounds.

The canvas is a torus: a shape that leaves on one side enters on the other, so that every motion
can continue for ever and looks the same at any time. Everything is drawn with signed distances and
one px of antialiasing; a clip is a pure function of its `ClipSpec`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import torch
from einops import rearrange
from torch import Tensor

from .vocabulary import ACTIONS, BACKGROUNDS, COLOURS, DIRECTIONS, SHADES, SHAPES, SIZES, SPEEDS

CANVAS_PX = 64  # the canvas on which sizes and speeds are given; others scale with it
ORBIT_RADIUS = 15.0
ORBIT_PERIOD, TURN_PERIOD, PULSE_PERIOD = 64.0, 48.0, 32.0  # px frames
OPENING_SPREAD = 0.03  # of the canvas, to each side of the middle
GROWTH_PER_FRAME, GROWTH_LIMIT = 0.015, 1.5


@dataclass(frozen=True)
class ClipSpec:
    """Everything that decides a clip; the caption says all of it but where it starts."""

    shape: str
    colour: str
    size: str
    direction: str | None  # None: it stays where it is, or circles
    action: str | None  # one of ACTIONS
    speed: str
    shade: str
    background: str
    start: tuple[float, float] = (0.5, 0.5)  # centre at px frame 0, in canvas widths and heights
    phase: float = 0.0  # 0..1: where in its turn, pulse, growth or orbit it starts

    @property
    def caption(self) -> str:
        moves = [f"moving {self.direction}"] if self.direction else []
        motion = " and ".join(moves + ([self.action] if self.action else []))
        speed = "" if self.speed == "steadily" else f" {self.speed}"
        size = "" if self.size == "medium" else f"{self.size} "
        subject = f"{size}{self.colour} {self.shape}"
        return (
            f"{_article(subject)} {motion}{speed} "
            f"over {_article(self.shade)} {self.background} background"
        )


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def held_out(spec: ClipSpec) -> bool:
    """True for the third of (shape, colour, direction) that training never sees.

    Every pair of the three still occurs in training.
    """
    if spec.direction is None:
        return False
    indices = (
        SHAPES.index(spec.shape),
        list(COLOURS).index(spec.colour),
        list(DIRECTIONS).index(spec.direction),
    )
    return sum(indices) % 3 == 0


def generator_of(seed: int, number: int) -> torch.Generator:
    """The generator of clip `number` of a set, or of a step of training on the world."""
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % (2**63))


def sample_spec(generator: torch.Generator, opening: bool = False) -> ClipSpec:
    """Draw a clip of the training set: any part of a video, or the opening of one.

    A video opens with its shape near the middle, so that the prompt says where things are.
    """
    pick = partial(_pick, generator)

    def uniform() -> float:
        return float(torch.rand(1, generator=generator))

    while True:
        moves = uniform() < 0.75
        direction = pick(DIRECTIONS) if moves else None
        # Only the axis of motion wraps: across it, a shape would stay cut in two.
        x, y = (
            uniform() if along else 0.3 + 0.4 * uniform()
            for along in (direction in ("left", "right"), direction in ("up", "down"))
        )
        spec = ClipSpec(
            shape=pick(SHAPES),
            colour=pick(COLOURS),
            size=pick(SIZES),
            direction=direction,
            action=("turning" if uniform() < 0.2 else None) if moves else pick(ACTIONS),
            speed=pick(SPEEDS) if uniform() < 0.5 else "steadily",
            shade=pick(SHADES),
            background=pick(BACKGROUNDS),
            start=(x, y),
            phase=uniform(),
        )
        if opening:
            x, y = (0.5 + OPENING_SPREAD * (2 * uniform() - 1) for _ in range(2))
            spec = replace(spec, start=(x, y))
        if not held_out(spec):
            return spec


def _pick(generator: torch.Generator, options: Iterable[str]) -> str:
    options = list(options)
    return options[int(torch.randint(len(options), (1,), generator=generator))]


def held_out_specs(count: int = 64, seed: int = 7) -> list[ClipSpec]:
    """The evaluation set: moving shapes whose combinations training never saw, all different."""
    generator = torch.Generator().manual_seed(seed)
    moving = (
        ClipSpec(shape, colour, "medium", direction, None, "steadily", "navy", "plain")
        for shape, colour, direction in product(SHAPES, COLOURS, DIRECTIONS)
    )
    triples = [spec for spec in moving if held_out(spec)]
    order = torch.randperm(len(triples), generator=generator).tolist()
    chosen = [triples[order[i % len(order)]] for i in range(count)]
    pick = partial(_pick, generator)
    return [
        replace(spec, size=pick(SIZES), shade=pick(SHADES), background=pick(BACKGROUNDS))
        for spec in chosen
    ]


def render(
    specs: list[ClipSpec],
    px_frames: int,
    height: int = CANVAS_PX,
    width: int = CANVAS_PX,
    first_px_frame: int = 0,
) -> Tensor:
    """Draw clips. Returns `[B, 3, T, H, W]` in 0..1."""
    time = torch.arange(first_px_frame, first_px_frame + px_frames, dtype=torch.float32)
    return torch.stack(
        [draw(spec, height, width, *motion(spec, time, height, width)) for spec in specs]
    )


def draw(
    spec: ClipSpec,
    height: int,
    width: int,
    centre_x: Tensor,
    centre_y: Tensor,
    angle: Tensor,
    radius: Tensor,
) -> Tensor:
    """Draw a shape at given places `[T, 1, 1]` in px and radians: `[3, T, H, W]` in 0..1."""
    scale = min(height, width) / CANVAS_PX
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float32) + 0.5,
        torch.arange(width, dtype=torch.float32) + 0.5,
        indexing="ij",
    )
    # The nearest copy of the shape on the torus: [T, H, W].
    dx = (x - centre_x + width / 2) % width - width / 2
    dy = (y - centre_y + height / 2) % height - height / 2
    cos, sin = torch.cos(angle), torch.sin(angle)
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    cover = (0.5 - _distance(spec.shape, u / radius, v / radius) * radius).clamp(0, 1)
    shadow_distance = _distance(spec.shape, (u - 1.2 * scale) / radius, (v - 2 * scale) / radius)
    shadow = (0.5 - shadow_distance * radius / (3 * scale)).clamp(0, 1) * 0.45

    light = 1.0 - 0.14 * ((dy / radius).clamp(-1, 1) + 1) / 2
    colour = torch.tensor(COLOURS[spec.colour]).view(3, 1, 1, 1) * light
    ground = _background(spec, x / width, y / height).unsqueeze(1) * (1 - shadow)
    return ground + (colour - ground) * cover


def motion(
    spec: ClipSpec, time: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Centre x and y, angle and radius at each of `time` `[T]` px frames, all `[T, 1, 1]`."""
    time = rearrange(time, "t -> t 1 1")
    scale = min(height, width) / CANVAS_PX
    speed = SPEEDS[spec.speed]
    start_x, start_y = spec.start[0] * width, spec.start[1] * height
    direction = DIRECTIONS.get(spec.direction or "", (0.0, 0.0))
    centre_x = start_x + direction[0] * speed * scale * time
    centre_y = start_y + direction[1] * speed * scale * time
    angle = torch.zeros_like(time)
    radius = torch.full_like(time, SIZES[spec.size] * scale)
    if spec.action == "turning":
        angle = 2 * math.pi * (spec.phase + speed * time / TURN_PERIOD)
    elif spec.action == "circling":
        turn = 2 * math.pi * (spec.phase + speed * time / ORBIT_PERIOD)
        centre_x = width / 2 + ORBIT_RADIUS * scale * torch.cos(turn)
        centre_y = height / 2 + ORBIT_RADIUS * scale * torch.sin(turn)
    elif spec.action == "growing":
        grown = 0.6 + 0.9 * spec.phase + GROWTH_PER_FRAME * speed * time
        radius = radius * grown.clamp(max=GROWTH_LIMIT)
    elif spec.action == "pulsing":
        wave = torch.sin(2 * math.pi * (spec.phase + speed * time / PULSE_PERIOD))
        radius = radius * (1 + 0.25 * wave)
    return centre_x, centre_y, angle, radius


def _distance(shape: str, u: Tensor, v: Tensor) -> Tensor:
    """Signed distance, negative inside, of a shape of radius about 1; v points down."""
    if shape == "circle":
        return torch.hypot(u, v) - 0.95
    if shape == "ring":
        return (torch.hypot(u, v) - 0.75).abs() - 0.27
    if shape == "square":
        return torch.maximum(u.abs(), v.abs()) - 0.85
    if shape == "cross":
        wide, narrow = 1.0, 0.36
        across = torch.maximum(u.abs() - wide, v.abs() - narrow)
        along = torch.maximum(u.abs() - narrow, v.abs() - wide)
        return torch.minimum(across, along)
    if shape == "triangle":
        return torch.maximum(u.abs() * 0.866 - (v - 0.1) * 0.5, v - 0.1) - 0.6
    if shape == "star":
        # Fold the plane onto half an arm: the edge runs from the tip to the inner corner.
        arm = math.pi / 5
        folded = (torch.atan2(u, -v) + arm) % (2 * arm) - arm
        distance = torch.hypot(u, v)
        along, across = distance * torch.cos(folded), distance * torch.sin(folded).abs()
        tip, inner = 1.15, 0.52
        edge_x, edge_y = inner * math.cos(arm) - tip, inner * math.sin(arm)
        length = math.hypot(edge_x, edge_y)
        return ((along - tip) * edge_y - across * edge_x) / length
    raise ValueError(f"Unknown shape {shape!r}; the world has {', '.join(SHAPES)}.")


def _background(spec: ClipSpec, x: Tensor, y: Tensor) -> Tensor:
    """`[3, H, W]`, darker than every colour of a shape; x and y in 0..1."""
    shade = torch.tensor(SHADES[spec.shade]).view(3, 1, 1)
    if spec.background == "gradient":
        return shade * (1.45 - 1.1 * y)
    if spec.background == "striped":
        return shade * (1.0 + 0.3 * torch.sin(2 * math.pi * 4 * y))
    if spec.background == "dotted":
        dots = torch.sin(2 * math.pi * 4 * x) * torch.sin(2 * math.pi * 4 * y)
        return shade * (1.0 + 0.4 * dots)
    return shade.expand(3, *x.shape)
