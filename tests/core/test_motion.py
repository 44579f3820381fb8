"""Motion by optical flow, and the strength that follows it."""

import pytest
import torch
import torch.nn.functional as F

from causvid_core.media.motion import MotionMeter, MotionStrength


def pan(side: int, px_per_frame: float, frames: int = 5, light: float = 0.0) -> torch.Tensor:
    """A soft random texture `[T, side, side, 3]` that moves to the right and grows brighter."""
    coarse = torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(3))
    texture = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, side)] * 2, indexing="ij")
    shown = []
    for n in range(frames):
        grid = torch.stack([x - 2 * n * px_per_frame / (side - 1), y], dim=-1)[None]
        moved = F.grid_sample(texture, grid, padding_mode="reflection", align_corners=True)
        shown.append(moved[0].permute(1, 2, 0).clamp(0, 1) * (1 - 0.3 + n * light))
    return torch.stack(shown)


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_a_pan_is_measured_in_sides_of_the_picture(speed):
    assert MotionMeter().push(pan(96, speed)) == pytest.approx(speed / 96, rel=0.1)


def test_the_size_of_the_picture_does_not_matter():
    small, large = MotionMeter().push(pan(96, 1.0)), MotionMeter().push(pan(384, 4.0))
    assert large == pytest.approx(small, rel=0.1)


def test_what_stands_still_has_no_motion():
    assert MotionMeter().push(pan(64, 0.0)) < 1e-4
    assert MotionMeter().push(pan(64, 3.0, frames=1)) == 0


def test_light_is_less_motion_than_a_pan():
    brighter = MotionMeter().push(pan(96, 0.0, light=0.05))
    assert brighter < 0.5 * MotionMeter().push(pan(96, 1.0))


def test_the_step_between_pieces_counts():
    frames = pan(96, 1.0, frames=9)
    meter = MotionMeter()
    pieces = [meter.push(frames[:1]), meter.push(frames[1:5]), meter.push(frames[5:])]
    assert pieces[0] == 0
    assert sum(pieces[1:]) / 2 == pytest.approx(MotionMeter().push(frames), rel=1e-6)


def test_strength_falls_where_the_input_moves():
    """Down to half of it for fast motion at follow 1; it turns back softly."""
    fast = pan(64, 3.0, frames=11)
    blocks = [fast[:1].expand(4, -1, -1, -1), fast[1:6], fast[6:], *[fast[-1:]] * 2]
    strength = MotionStrength(0.8, follow=1.0)
    values = []
    for block, frames in enumerate(blocks):
        strength.push(frames)
        values.append(strength(block))
    assert values[0] == pytest.approx(0.8, abs=0.01)
    assert values[2] < values[1] < values[0] and values[2] == pytest.approx(0.4, abs=0.01)
    assert values[2] < values[3] < values[4] <= 0.8
    assert strength.used == values


def test_without_following_the_strength_stays():
    strength = MotionStrength(0.6, follow=0.0)
    strength.push(pan(64, 3.0))
    assert strength(0) == 0.6
    with pytest.raises(ValueError, match="follow_motion is 2"):
        MotionStrength(0.6, follow=2)
