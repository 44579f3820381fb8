"""Footage of other rates, sizes and lengths."""

import pytest
import torch

from causvid_core.media.encoding import px_blocks
from causvid_core.media.fitting import as_rgb, fit
from causvid_core.media.reading import nearest_frames, picked


def clock(frames: int, fps: float, start: float = 0.0) -> list[float]:
    return [start + n / fps for n in range(frames)]


@pytest.mark.parametrize(
    ("frames", "fps", "count"),
    [(81, 16, 81), (97, 24, 65), (30, 30, 16), (10, 8, 20), (1, 24, 1), (61, 60, 17), (0, 24, 0)],
)
def test_every_tick_has_the_nearest_frame(frames, fps, count):
    times = clock(frames, fps, start=2.5)
    chosen = nearest_frames(times, 16)
    assert len(chosen) == count and chosen == sorted(chosen)
    for tick, index in enumerate(chosen):
        distance = abs(times[index] - 2.5 - tick / 16)
        assert distance <= min(abs(t - 2.5 - tick / 16) for t in times) + 1e-9


def test_the_same_rate_is_left_alone():
    for fps in (16, 15.999, 16.001):
        assert nearest_frames(clock(200, fps), 16) == list(range(200))


def test_uneven_times_are_followed():
    assert nearest_frames([0, 0.05, 0.5, 0.52], 4) == [0, 1, 2]


def test_frames_are_picked_while_they_come():
    seen = []

    def frames():
        for index in range(100):
            seen.append(index)
            yield index, torch.tensor(index)

    shown = picked(frames(), [1, 1, 3, 4])
    assert int(next(shown)) == 1 and seen == [0, 1]
    assert [int(frame) for frame in shown] == [1, 3, 4] and seen[-1] <= 5


def test_a_missing_frame_is_replaced_by_the_next():
    frames = [(index, torch.tensor(index)) for index in (0, 1, 4, 5)]
    assert [int(frame) for frame in picked(frames, [0, 2, 3, 5])] == [0, 4, 4, 5]


@pytest.mark.parametrize(
    ("count", "hold", "sizes"),
    [
        (33, True, [9, 12, 12]),
        (34, True, [9, 12, 12, 12]),
        (34, False, [9, 12, 12]),
        (3, True, [9]),
        (3, False, [9]),
        (0, True, []),
    ],
)
def test_blocks_are_whole(count, hold, sizes):
    frames = [torch.full((2, 2, 3), float(n)) for n in range(count)]
    blocks = list(px_blocks(iter(frames), [9, *[12] * 9], hold))
    assert [len(block) for block in blocks] == sizes
    shown = [int(frame[0, 0, 0]) for block in blocks for frame in block]
    assert shown[:count] == list(range(min(count, len(shown))))
    assert set(shown[count:]) <= {count - 1}


def test_blocks_are_asked_for_one_at_a_time():
    seen = []

    def frames():
        for n in range(100):
            seen.append(n)
            yield torch.zeros(2, 2, 3)

    blocks = px_blocks(frames(), [9, 12], hold=True)
    assert len(next(blocks)) == 9 and len(seen) == 9
    assert len(next(blocks)) == 12 and len(seen) == 21


def gradient(height: int, width: int) -> torch.Tensor:
    """Red grows to the right, green downwards; `[1, height, width, 3]`."""
    y = ((torch.arange(height) + 0.5) / height)[:, None].expand(height, width)
    x = ((torch.arange(width) + 0.5) / width)[None].expand(height, width)
    return torch.stack([x, y, torch.full_like(x, 0.5)], dim=-1)[None]


@pytest.mark.parametrize("size", [(100, 40), (40, 100), (63, 61), (7, 400), (1, 1)])
@pytest.mark.parametrize("how", ["crop", "pad", "stretch"])
def test_any_size_becomes_the_wanted_one(size, how):
    made = fit(gradient(*size), 48, 32, how)
    assert made.shape == (1, 32, 48, 3) and 0 <= made.min() and made.max() <= 1


def test_crop_keeps_the_middle_and_the_proportions():
    made = fit(gradient(100, 400), 64, 32)[0]  # the middle 200 columns
    torch.testing.assert_close(
        made[16, :, 0], 0.25 + 0.5 * gradient(32, 64)[0, 16, :, 0], atol=5e-3, rtol=0
    )


def test_stretch_keeps_everything():
    torch.testing.assert_close(
        fit(gradient(100, 400), 64, 32, "stretch"), gradient(32, 64), atol=6e-3, rtol=0
    )


def test_pad_shows_everything_between_black_bars():
    made = fit(gradient(100, 400), 64, 32, "pad")[0]
    assert not made[:8].any() and not made[24:].any()
    torch.testing.assert_close(made[8:24], gradient(16, 64)[0], atol=1.2e-2, rtol=0)


def test_fine_stripes_shrink_to_grey():
    """Without antialiasing they would turn into coarse ones."""
    stripes = (torch.arange(256) % 2).float()[None, None, :, None].expand(1, 256, 256, 3)
    assert fit(stripes, 48, 48)[:, :, 2:-2].sub(0.5).abs().max() < 0.1


def test_what_fits_is_returned_as_it_is():
    image = torch.rand(2, 32, 48, 3)
    assert fit(image, 48, 32) is image
    with pytest.raises(ValueError, match="fit is 'zoom'"):
        fit(image, 64, 64, "zoom")


def test_other_channels_than_three():
    assert as_rgb(torch.rand(2, 8, 8, 4)).shape == (2, 8, 8, 3)
    assert as_rgb(torch.rand(2, 8, 8, 1)).shape == (2, 8, 8, 3)
    with pytest.raises(ValueError, match="expected"):
        as_rgb(torch.rand(8, 8, 3))
