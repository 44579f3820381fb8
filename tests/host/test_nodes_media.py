"""Images and footage as the beginning or the guide of a stream, in a real ComfyUI."""

from typing import Any

import pytest
import torch
from hosting.host import Host

from causvid_core.media.vae import LATENT_MEAN, LATENT_STD

from ..core.footage_kinds import Kind, centres, write
from ..core.footage_kinds import seen as author_saw
from .media import SPEC, clip, decode, encode, look, media_prompt
from .prompts import facts, mini_prompt, node, recipe_node


def test_the_packs_vae_code_runs_on_the_hosts_weights(host: Host) -> None:
    prompt = {
        "mini": node("CausVid_LoadMini"),
        "look": node("MediaProbe_CompareVAE", model=["mini", 0], vae=["mini", 2]),
    }
    seen = facts(host.run(prompt))
    assert seen["shapes"] == [[1, 16, 4, 6, 8]] * 2 and seen["shared"]
    assert seen["difference"] < 1e-3 * seen["size"] and seen["decoded"] < 1e-4


def test_strength_zero_gives_the_video_back(host: Host, video: Any) -> None:
    prompt = media_prompt("VideoToVideo", video=["file", 0], strength=0.0)
    prompt["file"], frames = video(clip(34))
    seen = look(host, prompt)
    filled = torch.cat([frames, frames[-1:].expand(11, -1, -1, -1)])
    torch.testing.assert_close(seen["latents"], encode(filled), atol=1e-3, rtol=0)
    assert seen["count"] == 34 and seen["blocks"] == 4
    text = "34 frames at 16 frames per second. The last frame is repeated 11 times"
    assert text in seen["notice"]


def test_a_file_from_an_editor_is_read_as_its_author_saw_it(host: Host) -> None:
    """BT.709 in full range, starting at 3 s, where ComfyUI reads BT.601."""
    kind = Kind(height=64, full=True, start=3.0, codec="ffv1", suffix=".mkv", form="yuv444p12le")
    (host.base / "input").mkdir(exist_ok=True)
    path = write(host.base / "input", kind)
    prompt = media_prompt("VideoToVideo", video=["file", 0], strength=0.0)
    prompt["file"] = node("LoadVideo", file=path.name)
    seen = look(host, prompt)
    given = [author_saw(kind, n) / 255 for n in (*range(12), *[11] * 9)]
    wanted = encode(torch.stack(given).float())
    assert seen["count"] == 12 and "12 frames at 16 frames per second" in seen["notice"]
    # The Mini's decoder enlarges rounding: 12 bits leave little, and hard edges are left out.
    made, given = decode(seen["latents"]), decode(wanted)
    assert (made - given).abs().mean() < 0.5 / 255
    assert (
        max((centres(a) - centres(b)).abs().max() for a, b in zip(made, given, strict=True))
        < 2 / 255
    )


def test_every_px_of_images_decides(host: Host) -> None:
    seen = facts(host.run({"look": node("MediaProbe_Identity")}))
    assert seen == {"same": True, "other": True}


def test_what_fills_no_block_may_be_cut_off(host: Host, video: Any) -> None:
    prompt = media_prompt("VideoToVideo", video=["file", 0], strength=0.0, ending="cut off")
    prompt["file"], frames = video(clip(34))
    seen = look(host, prompt)
    torch.testing.assert_close(seen["latents"], encode(frames[:33]), atol=1e-3, rtol=0)
    assert seen["count"] == 33 and "1 frame at the end is left out" in seen["notice"]


def test_more_strength_keeps_less_of_the_video(host: Host, video: Any) -> None:
    """In between, what is there stays where it is and takes the colour of the prompt."""
    prompt = media_prompt("VideoToVideo", video=["file", 0])
    prompt["file"], frames = video(clip(33))
    made = {}
    for strength in (0.0, 0.3, 0.6, 0.9):
        prompt["video"]["inputs"]["strength"] = strength
        made[strength] = decode(look(host, prompt)["latents"])
    distances = [(shown - frames).square().mean().item() for shown in made.values()]
    assert distances == sorted(distances) and distances[1] < 0.75 * distances[3]
    shape = frames[..., 0] > 0.6
    before, after = ((f[..., 0] - f[..., 2])[shape].mean() for f in (frames, made[0.6]))
    assert before > 0.5 and after < before - 0.3
    light, ground = made[0.6].amax(dim=-1)[shape].mean(), made[0.6].amax(dim=-1)[~shape].mean()
    assert light > ground + 0.1


def test_strength_one_is_text_to_video(host: Host, video: Any) -> None:
    prompt = media_prompt("VideoToVideo", video=["file", 0], strength=1.0, seed=5)
    prompt["file"], _ = video(clip(21))
    plain = mini_prompt(px_frames=21, seed=5)
    plain["text"] = prompt["text"]
    assert look(host, prompt)["digest"] == facts(host.run(plain))["digest"]


def test_images_and_latents_are_taken_in_as_well(host: Host, video: Any) -> None:
    source, frames = video(clip(21))
    parts = {"file": source, "parts": node("GetVideoComponents", video=["file", 0])}
    expected = encode(frames)
    images = media_prompt("VideoToVideo", images=["parts", 0], strength=0.0) | parts
    seen = look(host, images)
    assert (seen["latents"] - expected).abs().mean() < 0.05  # the host reads files in other bits
    latent = media_prompt("VideoToVideo", latents=["encoded", 0], strength=0.0) | parts
    latent["encoded"] = node("VAEEncode", pixels=["parts", 0], vae=["mini", 2])
    del latent["video"]["inputs"]["vae"]
    again = look(host, latent)
    torch.testing.assert_close(again["latents"], seen["latents"], atol=1e-3, rtol=0)
    assert seen["count"] == again["count"] == 21


def test_a_video_made_in_the_graph_is_taken_in(host: Host, video: Any) -> None:
    source, frames = video(clip(21))
    prompt = media_prompt("VideoToVideo", video=["made", 0], strength=0.0)
    prompt |= {
        "file": source,
        "parts": node("GetVideoComponents", video=["file", 0]),
        "made": node("CreateVideo", images=["parts", 0], fps=32.0),
    }
    seen = look(host, prompt)
    assert "21 frames at 32 frames per second, taken as 11 at 16" in seen["notice"]
    halved = torch.cat([frames[::2], frames[-1:].expand(10, -1, -1, -1)])
    assert (seen["latents"] - encode(halved)).abs().mean() < 0.05


def test_other_rates_and_sizes_become_the_streams(host: Host, video: Any) -> None:
    prompt = media_prompt("VideoToVideo", video=["file", 0], strength=0.0, seconds=1.0)
    prompt["file"], frames = video(clip(60, height=128, width=192), fps=24.0)
    seen = look(host, prompt)
    assert seen["shape"] == [1, 16, 6, 8, 8] and seen["count"] == 21
    assert "60 frames at 24 frames per second, taken as 40 at 16" in seen["notice"]
    shown = decode(seen["latents"])[8]
    middle = frames[12, ::2, 32:160:2]
    assert (shown - middle).abs().mean() < 0.05


def test_a_stream_goes_on_with_footage(host: Host, video: Any) -> None:
    """Every latent frame then stands for 4 px frames."""
    prompt = media_prompt("VideoToVideo", video=["file", 0], strength=0.0, stream=["first", 0])
    prompt["file"], frames = video(clip(24))
    first = mini_prompt(px_frames=9)["video"]
    prompt["first"] = first
    seen = look(host, prompt)
    assert seen["shape"][2] == 3 + 6 and seen["count"] == 9 + 24
    whole = encode(torch.cat([frames[:1], frames]))
    torch.testing.assert_close(seen["latents"][:, :, 3:], whole[:, :, 1:], atol=1e-3, rtol=0)


def test_strength_may_follow_the_motion(host: Host, video: Any) -> None:
    prompt = media_prompt("VideoToVideo", video=["file", 0], follow_motion=1.0, strength=0.8)
    prompt["file"], _ = video(clip(33))
    assert "The strength followed the motion, from 0." in look(host, prompt)["notice"]


@pytest.mark.parametrize(("block", "still"), [(3, 9), (1, 1)])
def test_an_image_starts_a_stream(host: Host, picture: Any, block: int, still: int) -> None:
    image = clip(1)[0]
    prompt = media_prompt("ImageToVideo", image=["picture", 0], recipe=["recipe", 0])
    prompt["picture"] = picture(image, "first.png")
    prompt["recipe"] = recipe_node(frames_per_block=block)
    seen = look(host, prompt)
    assert seen["count"] == still
    given = (image * 255).round() / 255
    expected = encode(given.expand(still, -1, -1, -1))
    torch.testing.assert_close(seen["latents"][:, :, :block], expected, atol=1e-3, rtol=0)
    assert seen["shape"][2] >= 9 and f"{still} frame" in seen["notice"]


def test_no_flash_and_no_jump_after_the_image(host: Host, picture: Any) -> None:
    """The step from the image to the first new frame is like the steps between new frames."""
    image = clip(1)[0]
    prompt = media_prompt("ImageToVideo", image=["picture", 0], seconds=3.0)
    prompt["picture"] = picture(image, "seam.png")
    prompt["text"]["inputs"]["text"] = SPEC.caption
    frames = decode(look(host, prompt)["latents"])
    assert (frames[:9] - image).square().mean() < 2e-3  # the primed frames show the image
    steps = (frames[1:] - frames[:-1]).abs().mean(dim=(1, 2, 3))
    later = steps[9:].sort().values
    assert steps[8] < 2 * later[-1] and steps[8] < 0.05
    light = frames.mean(dim=(1, 2, 3))
    assert (light[9:13].mean() - light[8]).abs() < 0.05


def test_images_of_any_size_fit(host: Host, picture: Any) -> None:
    prompt = media_prompt("ImageToVideo", image=["picture", 0], fit="pad", seconds=1.0)
    prompt["picture"] = picture(torch.ones(40, 100, 3), "wide.png")
    shown = decode(look(host, prompt)["latents"])[0]
    assert shown[28:36].mean() > shown[:12].mean() + 0.4


def test_footage_is_extended_from_its_end(host: Host, video: Any) -> None:
    """The Mini's window of 9 latent frames holds 6 beside a block: 21 px frames."""
    prompt = media_prompt("ExtendVideo", video=["file", 0])
    prompt["file"], frames = video(clip(50))
    seen = look(host, prompt)
    assert seen["count"] == 21 and seen["shape"][2] == 6 + 6
    torch.testing.assert_close(seen["latents"][:, :, :6], encode(frames[-21:]), atol=1e-3, rtol=0)
    lit = decode(seen["latents"]).amax(dim=-1) > 0.55
    first, new = ((lit[20] & lit[n]).sum() / (lit[20] | lit[n]).sum() for n in (0, 21))
    assert new > 0.6 > 0.2 > first  # the prompt's colour comes at once; the shape stays in place


def test_context_may_be_shorter_and_footage_too(host: Host, video: Any) -> None:
    prompt = media_prompt("ExtendVideo", video=["file", 0], context_seconds=0.7)
    prompt["file"], frames = video(clip(50))
    assert look(host, prompt)["count"] == 9
    prompt["file"], frames = video(clip(4))
    seen = look(host, prompt)
    filled = torch.cat([frames[:1].expand(5, -1, -1, -1), frames])
    torch.testing.assert_close(seen["latents"][:, :, :3], encode(filled), atol=1e-3, rtol=0)


def test_a_latent_is_extended(host: Host) -> None:
    """Its end is a video of its own: the first latent frame stands for one px frame again."""
    prompt = media_prompt("ExtendVideo", latents=["first", 1])
    prompt["first"] = mini_prompt(px_frames=57)["video"]
    prompt["before"] = node("Probe_Look", latent=["first", 1], stream=["first", 0])
    run = host.run(prompt)
    before, after = facts(run, "before"), facts(run)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (LATENT_MEAN, LATENT_STD))
    old, new = (
        decode((torch.tensor(seen["values"]).view(seen["shape"]) - mean) / std)
        for seen in (before, after)
    )
    assert int(run.outputs["count"]["text"][0]) == 21
    assert (new[:21] - old[-21:]).abs().mean() < 0.03


REFUSED = [
    ({}, "No footage is connected. Connect one of video, images, latents"),
    ({"latents": ["first", 1], "images": ["picture", 0]}, "images + latents are connected"),
    ({"images": ["picture", 0], "vae": ["other", 0]}, "VAE is linear.Linear"),
    ({"images": ["picture", 0], "vae": None}, "Connect a VAE"),
    ({"latents": ["pictures", 0]}, "of the wrong kind: it has 4 channels"),
    ({"video": ["broken", 0]}, "broken.mp4 is no video that can be read"),
    ({"latents": ["first", 1], "width": 96}, "A video of 96x64 px has (batch, 16, latent frames"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(
    host: Host, refusal: Any, picture: Any, changes: dict[str, Any], sentence: str
) -> None:
    (host.base / "input").mkdir(exist_ok=True)
    (host.base / "input" / "broken.mp4").write_bytes(b"no video")
    prompt = media_prompt("VideoToVideo", **changes)
    prompt["video"]["inputs"] = {
        key: value for key, value in prompt["video"]["inputs"].items() if value is not None
    }
    prompt |= {
        "first": mini_prompt(px_frames=9)["video"],
        "other": node("MediaProbe_OtherVAE"),
        "picture": picture(clip(1)[0], "refused.png"),
        "pictures": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "broken": node("LoadVideo", file="broken.mp4"),
    }
    found = refusal(prompt)
    assert sentence in found and str(host.base) not in found
