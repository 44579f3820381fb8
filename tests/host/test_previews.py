"""What the live preview shows, against the frames that the run gives in the end."""

import io

import av
import numpy as np
import torch
import torch.nn.functional as F
from hosting.host import Host
from PIL import Image

from causvid_core.mini.measure import psnr_db


def test_the_preview_has_the_colours_of_the_video(host: Host) -> None:
    run = host.run(host.prompt("text_to_video_mini"))
    assert run.status == "success", run.error
    with av.open(str(host.path(run.files()[0]))) as video:
        *_, last = video.decode(video=0)
    shown = Image.open(io.BytesIO(run.previews[-1].data)).convert("RGB").resize((8, 8))
    assert psnr_db(_small(np.asarray(shown)), _small(last.to_ndarray(format="rgb24"))) > 15


def _small(picture: np.ndarray) -> torch.Tensor:
    """`[H, W, 3]` in 0..255 to `[3, 8, 8]` in 0..1."""
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1).float() / 255
    return F.adaptive_avg_pool2d(pixels, 8)
