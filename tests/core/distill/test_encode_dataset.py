"""Videos and captions to shards of latents, through the command."""

import json

import pytest
import torch
from safetensors.torch import load_file

from causvid_core.cli import main
from causvid_core.distill.data.encode_dataset import ClipSettings, captioned
from causvid_core.media.fitting import fit
from causvid_core.media.vae import WanVAE
from causvid_core.media.video import read_frames, write_mp4
from causvid_core.mini import weights_path
from causvid_core.storage.shards import ShardSet

SIZE = ["--width", "32", "--height", "32", "--px-frames", "5"]


def frames(count, seed, height=40, width=64):
    """Smooth colours that drift, so that a codec keeps them."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    for n in range(count):
        phase = 0.3 * n + seed
        yield torch.stack([x, y, (torch.sin(3 * x + phase) + 1) / 2], dim=-1)


@pytest.fixture
def videos(tmp_path):
    """Three videos of 14, 11 and 3 frames at 16 a second, with captions beside them."""
    folder = tmp_path / "videos"
    (folder / "more").mkdir(parents=True)
    for name, count, caption in (
        ("b", 14, "a blue\nwave "),
        ("more/c", 11, "a green wave"),
        ("a", 3, "too short"),
    ):
        write_mp4(folder / f"{name}.mp4", frames(count, len(name)), 16)
        (folder / f"{name}.txt").write_text(caption, encoding="utf-8")
    return folder


def encode(source, folder, *options):
    return main(["--quiet", "--debug", "encode-dataset", str(source), str(folder), *SIZE, *options])


def test_clips_are_what_the_vae_makes_of_their_frames(videos, tmp_path, capsys, caplog):
    assert encode(videos, tmp_path / "clips", "--stride", "4") == 0
    assert "5 clips encoded, 5 in all" in capsys.readouterr().out
    assert "a.mp4: it has 3 px frames" in caplog.text
    clips = ShardSet(tmp_path / "clips", kind="clips")
    assert [c.prompt for c in clips] == ["a blue wave"] * 3 + ["a green wave"] * 2
    assert clips[1].source == "b.mp4 from px frame 4"
    assert clips.settings["width"] == 32 and clips.settings["fps"] == 16.0
    vae = WanVAE.from_state_dict(load_file(weights_path("vae")))
    every = torch.stack([torch.from_numpy(f).float() / 255 for f in read_frames(videos / "b.mp4")])
    for number, start in enumerate((0, 4, 8)):
        px = fit(every[start : start + 5], 32, 32).permute(3, 0, 1, 2)[None]
        latents = clips[number].tensors["latents"]
        assert latents.dtype == torch.float16 and latents.shape == (16, 2, 4, 4)
        torch.testing.assert_close(latents.float(), vae.encode(px)[0], atol=5e-3, rtol=5e-3)


def test_what_is_encoded_stays_and_doubles_count_once(videos, tmp_path, capsys):
    encode(videos, tmp_path / "clips")
    before = {p.name: p.read_bytes() for p in (tmp_path / "clips").iterdir()}
    for suffix in (".mp4", ".txt"):
        (videos / f"copy{suffix}").write_bytes((videos / f"b{suffix}").read_bytes())
    encode(videos, tmp_path / "clips")
    assert "0 clips encoded, 2 in all" in capsys.readouterr().out
    assert {p.name: p.read_bytes() for p in (tmp_path / "clips").iterdir()} == before
    encode(videos, tmp_path / "clips", "--stride", "9")  # the other clips of the same videos
    assert "1 clips encoded, 3 in all" in capsys.readouterr().out


def test_another_frame_rate_takes_other_frames(videos, tmp_path):
    encode(videos, tmp_path / "slow", "--fps", "8", "--px-frames", "5")
    clips = ShardSet(tmp_path / "slow", kind="clips")
    vae = WanVAE.from_state_dict(load_file(weights_path("vae")))
    every = torch.stack([torch.from_numpy(f).float() / 255 for f in read_frames(videos / "b.mp4")])
    px = fit(every[[0, 2, 4, 6, 8]], 32, 32).permute(3, 0, 1, 2)[None]
    torch.testing.assert_close(
        clips[0].tensors["latents"].float(), vae.encode(px)[0], atol=5e-3, rtol=5e-3
    )


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_lists_of_videos(videos, tmp_path, suffix):
    rows = [("more/c.mp4", 'wide, "green"'), ("b.mp4", "blue")]
    if suffix == ".csv":
        text = 'video,caption\nmore/c.mp4,"wide, ""green"""\nb.mp4,blue\n'
    else:
        text = (
            "\n".join(json.dumps({"video": v, "caption": c, "more": 1}) for v, c in rows) + "\n\n"
        )
    (videos / f"list{suffix}").write_text(text, encoding="utf-8")
    found = list(captioned(videos / f"list{suffix}"))
    assert found == [(videos / video, caption) for video, caption in rows]
    assert encode(videos / f"list{suffix}", tmp_path / "clips") == 0
    assert ShardSet(tmp_path / "clips", kind="clips").prompts == [c for _, c in rows]


def test_processes_share_the_videos(videos, tmp_path):
    for part in "01":
        encode(videos, tmp_path / "clips", "--parts", "2", "--part", part)
    found = ShardSet(tmp_path / "clips", kind="clips")
    assert sorted(found.prompts) == ["a blue wave", "a green wave"]


def test_a_broken_video_is_left_out(videos, tmp_path, caplog, capsys):
    (videos / "more" / "c.mp4").write_bytes((videos / "more" / "c.mp4").read_bytes()[:300])
    assert encode(videos, tmp_path / "clips") == 0
    assert "1 clips encoded" in capsys.readouterr().out and "c.mp4" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "video,caption\nz.mp4,x\n", "there is no .*z.mp4"),
        ("list.csv", "file,caption\nb.mp4,x\n", "entry 1 .* lacks"),
        ("list.jsonl", '{"video": "b.mp4", "caption": "x"}\nnonsense\n', "line 2 .* not a JSON"),
        ("list.xml", "", "neither a folder"),
        ("d.webm", "", "d.webm has no caption"),
    ],
)
def test_lists_that_cannot_be_read_say_why(videos, name, text, message):
    (videos / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        list(captioned(videos if name.startswith("d.") else videos / name))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 40}, "try 32"),
        ({"px_frames": 80}, "try 81"),
        ({"fps": 0}, "Wan was trained at 16"),
        ({"stride": 0}, "at least 1"),
        ({"fit": "squeeze"}, "choose one of crop"),
    ],
)
def test_settings_that_no_model_takes_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ClipSettings(**{"width": 64, "height": 64} | values)
