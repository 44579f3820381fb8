"""Bad inputs get one sentence that says what was found and what to do."""

import json
from typing import Any

import pytest
from hosting.client import PromptRejected
from hosting.host import Host

from .prompts import lora_node, mini_prompt, node, recipe_node


@pytest.mark.parametrize("name", ["width", "height"])
def test_odd_sizes_are_refused_before_anything_runs(host: Host, name: str) -> None:
    with pytest.raises(PromptRejected, match=f"{name} is 100 px. Use a multiple of 16, such as 96"):
        host.run(mini_prompt(**{name: 100}))


@pytest.mark.parametrize(
    ("widgets", "sentence"),
    [
        ({"timesteps": "500, 1000"}, "must fall from step to step"),
        ({"timesteps": "many"}, "Write falling numbers separated by commas"),
        ({"window": 2}, "cannot hold a block of 3"),
        ({"preset": "gone"}, "There is no preset 'gone'"),
    ],
)
def test_bad_recipes_are_refused_before_anything_runs(
    host: Host, widgets: dict[str, Any], sentence: str
) -> None:
    prompt = mini_prompt(recipe=["recipe", 0])
    prompt["recipe"] = recipe_node(**widgets)
    with pytest.raises(PromptRejected, match=sentence):
        host.run(prompt)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"area": [8, 8, 0, 0]}, "carries an area"),
        ({"mask": [1]}, "carries a mask"),
        ({"strength": 0.5}, "carries a strength of 0.5"),
        ({"start_percent": 0.2}, "carries a timestep range"),
        ({"control": 1}, "carries a ControlNet"),
        ({"hooks": 1}, "carries hooks"),
        ({"concat_latent_image": [1]}, "carries a start image"),
    ],
)
def test_conditioning_other_than_a_prompt(
    refusal: Any, options: dict[str, Any], sentence: str
) -> None:
    prompt = mini_prompt(positive=["odd", 0])
    prompt["odd"] = node("Probe_MakeConditioning", batch=1, width=4096, options=json.dumps(options))
    error = refusal(prompt)
    assert sentence in error and "Connect CLIP Text Encode directly" in error


def test_combined_prompts(refusal: Any) -> None:
    prompt = mini_prompt(positive=["both", 0])
    prompt["other"] = node("CLIPTextEncode", clip=["mini", 1], text="a blue star turning")
    prompt["both"] = node(
        "ConditioningCombine", conditioning_1=["text", 0], conditioning_2=["other", 0]
    )
    assert "The conditioning has 2 entries" in refusal(prompt)


def test_prompts_of_another_text_encoder(refusal: Any) -> None:
    prompt = mini_prompt(positive=["odd", 0])
    prompt["odd"] = node("Probe_MakeConditioning", batch=1, width=768, options="{}")
    error = refusal(prompt)
    assert "width 768" in error and "width 4096" in error and "umt5_xxl" in error


def test_a_model_that_is_no_wan_model(refusal: Any) -> None:
    prompt = mini_prompt(model=["other", 0])
    prompt["other"] = node("Probe_OtherModel")
    error = refusal(prompt)
    assert error.startswith("MODEL is Painter") and "Connect a Wan 2.1 text-to-video" in error


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"width": 96}, "The stream is 64x64 px, but width and height are set to 96x64"),
        ({"recipe": ["recipe", 0]}, "made with another recipe"),
        ({"model": ["patched", 0]}, "made with another MODEL"),
        ({"positive": ["many", 0]}, "holds 3 prompts, but the stream holds 1 videos"),
    ],
)
def test_streams_that_do_not_fit(
    refusal: Any, models: Any, changes: dict[str, Any], sentence: str
) -> None:
    prompt = mini_prompt()
    first = prompt["video"]["inputs"]
    prompt["more"] = node(
        "CausVid_TextToVideo", **(first | {"stream": ["video", 0], "seed": 1} | changes)
    )
    prompt["look"]["inputs"] = {"latent": ["more", 1]}
    prompt["many"] = node("Probe_MakeConditioning", batch=3, width=4096, options="{}")
    prompt["patched"] = lora_node(1.0)
    prompt["recipe"] = recipe_node(preset="self-forcing")
    assert sentence in refusal(prompt, "more")


def test_words_that_the_mini_does_not_know_are_named(host: Host) -> None:
    prompt = mini_prompt()
    prompt["text"]["inputs"]["text"] = "a zebra and a checkered red circle moving left"
    run = host.run(prompt)
    assert run.status == "success"
    [notice] = [notice for notice in run.notices if notice.node_id == "text"]
    assert notice.text == (
        "CausVid Mini does not know these words and skips them: "
        "zebra; checkered -> gradient, striped, dotted"
    )
