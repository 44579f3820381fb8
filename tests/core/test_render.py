"""The render command: what it makes of its arguments, and the file against the stream."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import causvid_core as cv
from causvid_core import mini
from causvid_core.cli import main
from causvid_core.media.vae import WanVAE
from causvid_core.media.video import read_frames, write_mp4
from causvid_core.mini.text_encoder import TextEncoder, new_table
from causvid_core.stream.geometry import px_frames_from_latent

from .checkpoint_layouts import wan

CIRCLE = ["--prompt", "a red circle"]
ONE_BLOCK, TWO_BLOCKS, THREE_BLOCKS = 9, 21, 33  # px frames
CODEC_ERROR = 0.02


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder to work in, and random weights in the Mini's format, drawn in no time."""
    files = {name: tmp_path / f"{name}.safetensors" for name in ("dit", "vae", "text")}
    save_file(wan(text_dim=4096), files["dit"])
    torch.manual_seed(0)
    save_file(WanVAE(8).state_dict(), files["vae"])
    monkeypatch.setattr(mini, "weights_path", files.__getitem__)
    encoder = TextEncoder(new_table())
    monkeypatch.setattr(TextEncoder, "load", classmethod(lambda cls: encoder))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def render(*arguments) -> int:
    size = () if {"--size", "--resume"} & set(arguments) else ("--size", "32x32")
    return main(["render", *map(str, arguments), *size])


def frames(path) -> np.ndarray:
    return np.stack(list(read_frames(path))) / 255


def decoded(stream: Path, folder: Path) -> np.ndarray:
    """The whole stream as the VAE decodes it at once."""
    vae = WanVAE.from_state_dict(load_file(folder / "vae.safetensors"))
    return vae.decode(cv.load_stream(stream).latents)[0].permute(1, 2, 3, 0).numpy()


def test_the_file_holds_what_the_stream_decodes_to(small, capsys):
    assert (
        render(
            *CIRCLE,
            "--seconds",
            1.1,
            "--out",
            "a.mp4",
            "--save-stream",
            "a.safetensors",
            "--scale",
            1,
            "--quality",
            100,
            "--sheet",
            "a.png",
            "--pixel-format",
            "yuv444p10le",
        )
        == 0
    )
    assert "a.mp4 (21 px frames, 1.3 s)" in capsys.readouterr().out
    assert np.abs(frames("a.mp4") - decoded(small / "a.safetensors", small)).mean() < CODEC_ERROR
    assert Image.open("a.png").width > 500


def test_a_render_goes_on_in_a_second_file_as_if_never_cut(small):
    shared = [*CIRCLE, "--scale", "1", "--quality", "100", "--pixel-format", "yuv444p10le"]
    assert (
        render(
            *shared,
            "--seconds",
            1.3,
            "--out",
            "1.mp4",
            "--save-stream",
            "1.st.safetensors",
            "--seed",
            4,
        )
        == 0
    )
    assert (
        render(
            *shared,
            "--seconds",
            0.7,
            "--out",
            "2.mp4",
            "--resume",
            "1.st.safetensors",
            "--save-stream",
            "2.st.safetensors",
        )
        == 0
    )
    assert (
        render(
            *shared,
            "--seconds",
            2,
            "--out",
            "3.mp4",
            "--save-stream",
            "3.st.safetensors",
            "--seed",
            4,
        )
        == 0
    )
    pieces, whole = cv.load_stream("2.st.safetensors"), cv.load_stream("3.st.safetensors")
    assert pieces.seed == 4 and torch.equal(pieces.latents, whole.latents)
    joined = np.concatenate([frames("1.mp4"), frames("2.mp4")])
    assert len(joined) == THREE_BLOCKS
    assert np.abs(joined - frames("3.mp4")).mean() < CODEC_ERROR


def test_a_schedule_with_a_cut(small, capsys):
    (small / "scenes.txt").write_text("0: a red circle\n1s [cut]: a blue square", "utf-8")
    assert (
        render(
            "--schedule",
            "scenes.txt",
            "--seconds",
            2,
            "--out",
            "a.mp4",
            "--save-stream",
            "a.safetensors",
        )
        == 0
    )
    stream = cv.load_stream("a.safetensors")
    assert [block.switch for block in stream.history] == ["carry", "cut", "carry"]
    # The second scene begins with a single px frame, as every video does.
    assert len(frames("a.mp4")) == stream.px_frames == THREE_BLOCKS - 3


def test_a_picture_is_the_first_block(small):
    Image.new("RGB", (80, 60), (200, 30, 30)).save("red.png")
    assert (
        render(
            *CIRCLE,
            "--image",
            "red.png",
            "--seconds",
            1.3,
            "--out",
            "a.mp4",
            "--save-stream",
            "a.safetensors",
        )
        == 0
    )
    assert len(frames("a.mp4")) == TWO_BLOCKS
    vae = WanVAE.from_state_dict(load_file("vae.safetensors"))
    still = torch.tensor([200, 30, 30]).view(1, 3, 1, 1, 1).expand(1, 3, 9, 32, 32) / 255
    first = cv.load_stream("a.safetensors").history[0].latents
    assert (first - vae.encode(still)).abs().max() < 1e-4


def test_footage_is_made_over_for_as_long_as_it_lasts(small):
    write_mp4("clip.mp4", torch.rand(40, 48, 64, 3), 32)  # 20 frames at 16 a second
    shared = [*CIRCLE, "--video", "clip.mp4", "--strength", "0"]
    assert render(*shared, "--out", "a.mp4", "--save-stream", "a.safetensors") == 0
    assert len(frames("a.mp4")) == 20  # as long as the footage, although two blocks were made
    assert px_frames_from_latent(cv.load_stream("a.safetensors").frames) == TWO_BLOCKS
    assert (
        render(
            *shared,
            "--seconds",
            0.5,
            "--out",
            "b.mp4",
            "--save-stream",
            "b.safetensors",
            "--video-from",
            0.25,
        )
        == 0
    )
    a, b = (cv.load_stream(f"{name}.safetensors").latents for name in "ab")
    assert px_frames_from_latent(b.shape[2]) == ONE_BLOCK and not torch.equal(a[:, :, :3], b)


def test_weights_of_ones_own(small):
    save_file(wan(text_dim=24), "other.safetensors")
    save_file({"a lake": torch.randn(5, 24), "a sea": torch.randn(1, 7, 24)}, "told.safetensors")
    shared = [
        "--checkpoint",
        "other.safetensors",
        "--vae",
        "vae.safetensors",
        "--context",
        "told.safetensors",
        "--recipe",
        "causal-forcing-framewise",
        "--size",
        "48x32",
        "--seconds",
        "0.5",
        "--out",
    ]
    assert render("--prompt", "a sea", *shared, "a.webm", "--save-stream", "a.safetensors") == 0
    stream = cv.load_stream("a.safetensors")
    assert (stream.height, stream.width) == (4, 6) and stream.history[0].context.shape[1] == 7
    assert render("--prompt", "a pond", *shared, "b.webm") == 2


def test_what_made_a_file_is_in_it(small):
    import av

    assert render(*CIRCLE, "--seconds", 0.5, "--seed", 3, "--out", "a.mov", "--fps", 24) == 0
    with av.open("a.mov") as container:
        assert container.metadata["comment"] == "a red circle"
        assert json.loads(container.metadata["causvid"])["seed"] == 3
        assert container.streams.video[0].average_rate == 24
        assert container.streams.video[0].codec.name == "prores"


def test_nothing_is_replaced_unless_asked(small, capsys):
    for name in ("video.mp4", "video-2.mp4"):
        assert render(*CIRCLE, "--seconds", 0.1) == 0
        assert name in capsys.readouterr().out
    assert render(*CIRCLE, "--seconds", 0.1, "--out", "video.mp4") == 2
    assert "video.mp4 already exists" in capsys.readouterr().err
    assert render(*CIRCLE, "--seconds", 0.1, "--out", "video.mp4", "--overwrite") == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "there is no prompt; give --prompt or --schedule"),
        ([*CIRCLE, "--size", "100x64"], "use multiples of 16"),
        ([*CIRCLE, "--size", "large"], "write it as 832x480"),
        ([*CIRCLE, "--minutes", "0"], "both must be positive"),
        ([*CIRCLE, "--recipe", "none"], "there is no recipe 'none'"),
        ([*CIRCLE, "--out", "a.gif"], "name it with .mov or .mp4 or .webm"),
        ([*CIRCLE, "--codec", "vp9", "--out", "a.mp4"], "a.mp4 cannot hold vp9; name it a.webm"),
        ([*CIRCLE, "--quality", "200"], "expected 0 to 100"),
        ([*CIRCLE, "--checkpoint", "dit.safetensors"], "say with --recipe how it is sampled"),
        (
            [*CIRCLE, "--checkpoint", "dit.safetensors", "--recipe", "causvid"],
            "give --vae wan_2.1_vae.safetensors",
        ),
        (
            [*CIRCLE, "--checkpoint", "dit.safetensors", "--recipe", "causvid", "--vae", "x"],
            "give their embeddings with --context",
        ),
        ([*CIRCLE, "--resume", "absent.safetensors"], "there is no stream file"),
        (["--schedule", "absent.txt"], "absent.txt"),
        ([*CIRCLE, "--image", "absent.png"], "absent.png"),
        ([*CIRCLE, "--video", "absent.mp4"], "absent.mp4"),
    ],
)
def test_refusals_are_one_sentence_and_leave_no_file(small, arguments, sentence, capsys):
    before = sorted(small.iterdir())
    assert render(*arguments) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.startswith("error: ") and error.count("\n") == 1
    assert sorted(small.iterdir()) == before


def test_another_model_goes_on_with_a_stream_only_when_allowed(small, capsys):
    assert render(*CIRCLE, "--seconds", 0.1, "--save-stream", "a.safetensors") == 0
    save_file(wan(text_dim=4096, seed=1), "mini_other.safetensors")
    other = [
        "--checkpoint",
        "mini_other.safetensors",
        "--resume",
        "a.safetensors",
        "--seconds",
        "0.1",
    ]
    assert render(*other) == 2
    assert "--allow-changes" in capsys.readouterr().err
    assert render(*other, "--allow-changes") == 0
