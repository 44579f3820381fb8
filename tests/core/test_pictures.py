"""Picture files of every kind, as their author saw them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from torch import Tensor

from causvid_core.media.fitting import as_rgb, fit
from causvid_core.media.pictures import read_picture

RGB = np.zeros((16, 24, 3), np.uint8)
RGB[:8, :12], RGB[:8, 12:], RGB[8:, :12], RGB[8:, 12:] = (
    (30, 200, 60),
    (200, 40, 90),
    (60, 70, 220),
    (40, 40, 40),
)


def corners(pixels: Tensor) -> Tensor:
    height, width = pixels.shape[:2]
    ys, xs = (height // 4, 3 * height // 4), (width // 4, 3 * width // 4)
    return torch.stack([pixels[y, x] for y in ys for x in xs])


def close(pixels: Tensor, levels: np.ndarray, most: float = 2.0) -> bool:
    wanted = torch.from_numpy(np.ascontiguousarray(levels)).float()
    assert pixels.shape == wanted.shape
    return bool((255 * corners(pixels) - corners(wanted)).abs().max() <= most)


TURNED = {
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.swapaxes(0, 1),
    6: np.rot90(RGB, -1),
    7: np.rot90(RGB, 2).swapaxes(0, 1),
    8: np.rot90(RGB),
}


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_turns_a_picture(tmp_path: Path, orientation: int) -> None:
    image, exif = Image.fromarray(RGB), Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    assert close(read_picture(tmp_path / "a.png"), TURNED[orientation])


def test_alpha_is_over_black(tmp_path: Path) -> None:
    """What lies under invisible parts is nobody's to see."""
    alpha = np.full((16, 24, 1), 255, np.uint8)
    alpha[:8, :12], alpha[8:] = 0, 128
    Image.fromarray(np.concatenate([RGB, alpha], axis=-1)).save(tmp_path / "a.png")
    assert close(read_picture(tmp_path / "a.png"), RGB * (alpha / 255))
    image = torch.cat([torch.from_numpy(RGB), torch.from_numpy(alpha)], dim=-1)[None] / 255
    assert close(as_rgb(image)[0], RGB * (alpha / 255))


def test_palettes(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(4)
    image.save(tmp_path / "a.png")
    assert close(read_picture(tmp_path / "a.png"), RGB)
    image.save(tmp_path / "b.png", transparency=image.getpixel((2, 2)))
    hidden = RGB.copy()
    hidden[:8, :12] = 0
    assert close(read_picture(tmp_path / "b.png"), hidden)


def test_grey_of_8_and_16_bits(tmp_path: Path) -> None:
    grey = np.full((16, 24), 0x4000, np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").sub(0.25).abs().max() < 1e-4
    Image.fromarray((grey >> 8).astype(np.uint8)).save(tmp_path / "b.png")
    assert read_picture(tmp_path / "b.png").sub(64 / 255).abs().max() < 1e-4
    Image.fromarray(grey > 0).save(tmp_path / "c.png")
    assert read_picture(tmp_path / "c.png").shape == (16, 24, 3)


def test_cmyk(tmp_path: Path) -> None:
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / "a.jpg", quality=100, subsampling=0)
    assert close(read_picture(tmp_path / "a.jpg"), RGB, most=4)


def test_a_profile_is_applied(tmp_path: Path) -> None:
    """Lab as a stand-in for a wide gamut: its profile says what the numbers mean."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=srgb.tobytes())
    assert close(read_picture(tmp_path / "a.png"), RGB)
    Image.fromarray(RGB).save(tmp_path / "b.png", icc_profile=b"broken")
    assert close(read_picture(tmp_path / "b.png"), RGB)


def test_one_px(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), (30, 200, 60)).save(tmp_path / "a.png")
    made = fit(read_picture(tmp_path / "a.png")[None], 48, 32)
    wanted = torch.tensor([30, 200, 60]) / 255
    assert made.shape == (1, 32, 48, 3) and (made - wanted).abs().max() < 1e-3


@pytest.mark.parametrize("contents", [b"", b"no picture"])
def test_what_is_no_picture_is_named(tmp_path: Path, contents: bytes) -> None:
    (tmp_path / "a.png").write_bytes(contents)
    with pytest.raises(ValueError, match=r"a.png is no picture") as error:
        read_picture(tmp_path / "a.png")
    assert str(tmp_path) not in str(error.value)
