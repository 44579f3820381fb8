"""A server is killed while it writes a video: the file plays, and the next run makes it whole."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hosting.host import Host
from hosting.pins import HOST_RELEASES

from causvid_core.storage.reserve import sweep

from .test_nodes_render import file_of, frames, render_prompt

EVERY, BLOCKS = 2, 7
STEPS = 5  # of the model in a block: four and a clean pass
PX_FRAMES = 9 + 12 * (BLOCKS - 1)


@pytest.fixture(scope="module", params=list(HOST_RELEASES))
def mortal(request: pytest.FixtureRequest, start_host: Callable[..., Host]) -> Iterator[Host]:
    """A server of its own, to be killed."""
    running = start_host(request.param)
    yield running
    running.stop()


def test_a_killed_render_plays_and_is_made_whole_by_the_next_run(mortal: Host) -> None:
    prompt = render_prompt(
        minutes=PX_FRAMES / 16 / 60, seed=5, filename_prefix="video/killed", checkpoint_blocks=EVERY
    )

    def kill(message: Any) -> None:
        if isinstance(message, dict) and message["type"] == "progress":
            if message["data"]["node"] == "video" and message["data"]["value"] >= 5 * STEPS:
                os.kill(mortal.server.pid, signal.SIGKILL)

    with pytest.raises((OSError, EOFError)):
        mortal.run(prompt, kill)
    [broken] = (mortal.base / "output/video").glob("killed_*.mp4")
    assert broken.name == "killed_00001_.part.mp4"  # not finished, and says so
    cut_short = frames(broken)
    assert 9 + 12 * 3 <= len(cut_short) + 1 < PX_FRAMES  # four blocks but for the last frame
    mortal.stop()
    mortal.start()
    run = mortal.run(prompt)
    whole = file_of(mortal, run)
    assert whole != broken and len(frames(whole)) == PX_FRAMES
    notices = [notice.text for notice in run.notices if notice.node_id == "video"]
    assert any(f"after block 4 of {BLOCKS}" in text for text in notices)
    assert any(text == "Decoding the 4 blocks made earlier." for text in notices)
    assert any("left these unfinished videos: killed_00001_.part.mp4." in text for text in notices)
    assert [left.path for left in sweep(broken.parent)] == [broken]
    np.testing.assert_array_equal(frames(whole)[: len(cut_short)], cut_short)
    prompt["video"]["inputs"]["checkpoint_blocks"] = 0
    again = file_of(mortal, mortal.run(prompt))
    np.testing.assert_array_equal(frames(again), frames(whole))


@pytest.mark.parametrize("every", [0, EVERY])
def test_a_deleted_output_folder_costs_the_file_but_not_the_blocks(
    mortal: Host, every: int
) -> None:
    prompt = render_prompt(
        minutes=PX_FRAMES / 16 / 60,
        seed=7 + every,
        filename_prefix="gone/a",
        checkpoint_blocks=every,
    )
    output = mortal.base / "output"

    def delete(message: Any) -> None:
        if isinstance(message, dict) and message["type"] == "progress":
            if message["data"]["node"] == "video" and message["data"]["value"] >= 4 * STEPS:
                shutil.rmtree(output / "gone", ignore_errors=True)
                shutil.rmtree(output / "causvid", ignore_errors=True)

    run = mortal.run(prompt, delete)
    notices = [notice.text for notice in run.notices if notice.node_id == "video"]
    assert run.status == "error" and "_.mp4 is lost" in run.error
    assert any("blocks made so far are saved in" in text for text in notices)
    again = mortal.run(prompt)
    notices = [notice.text for notice in again.notices if notice.node_id == "video"]
    assert any("Resuming after block" in text for text in notices)
    made = frames(file_of(mortal, again))
    prompt["video"]["inputs"]["filename_prefix"] = "gone/b"
    np.testing.assert_array_equal(made, frames(file_of(mortal, mortal.run(prompt))))
