"""A server is killed in the middle of a long node, and the next one goes on from there."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hosting.host import Host
from hosting.pins import HOST_RELEASES

from .prompts import cancel, facts, mini_prompt, node

EVERY, BLOCKS = 2, 9
STEPS = 5  # of the model in a block: four and a clean pass


@pytest.fixture(scope="module", params=list(HOST_RELEASES))
def mortal(request: pytest.FixtureRequest, start_host: Callable[..., Host]) -> Iterator[Host]:
    """A server of its own, to be killed."""
    running = start_host(request.param)
    yield running
    running.stop()


def prompts(**changes: Any) -> dict[str, Any]:
    """A short stream, and a long continuation that writes checkpoints."""
    prompt = mini_prompt(px_frames=9, seed=5, **changes)
    prompt["long"] = node(
        "CausVid_TextToVideo",
        **(
            prompt["video"]["inputs"]
            | {"stream": ["video", 0], "px_frames": 12 * BLOCKS, "checkpoint_blocks": EVERY}
        ),
    )
    prompt["look"]["inputs"] = {"latent": ["long", 1], "stream": ["long", 0]}
    return prompt


def checkpoints(host: Host) -> list[Path]:
    return sorted((host.base / "output/causvid/checkpoints").glob("*.journal"))


def restart(host: Host) -> None:
    host.stop()
    host.start()


def run_and_kill(host: Host, prompt: dict[str, Any], steps: int) -> None:
    def kill(message: Any) -> None:
        if isinstance(message, dict) and message["type"] == "progress":
            if message["data"]["node"] == "long" and message["data"]["value"] >= steps:
                os.kill(host.server.pid, signal.SIGKILL)

    with pytest.raises((OSError, EOFError)):
        host.run(prompt, kill)


def test_a_killed_render_goes_on_where_it_was(mortal: Host) -> None:
    prompt = prompts()
    run_and_kill(mortal, prompt, steps=5 * STEPS)
    (file,) = checkpoints(mortal)
    restart(mortal)
    run = mortal.run(prompt)
    resumed = facts(run)
    notices = [notice.text for notice in run.notices if notice.node_id == "long"]
    (done,) = (n for n in range(BLOCKS) if any(f"after block {n} of 9" in t for t in notices))
    assert done >= 4 and done % EVERY == 0
    assert run.progress("long")[-1][1] == (BLOCKS - done) * STEPS - 1
    assert checkpoints(mortal) == [file]  # a later node might still have failed
    prompt["long"]["inputs"]["checkpoint_blocks"] = 0
    again = mortal.run(prompt)
    assert facts(again)["digest"] == resumed["digest"] and not checkpoints(mortal)
    assert not any("Resuming" in notice.text for notice in again.notices)


def test_a_damaged_checkpoint_is_passed_over(mortal: Host) -> None:
    prompt = prompts()
    expected = facts(mortal.run(prompt))["digest"]
    prompt["long"]["inputs"]["checkpoint_blocks"] = 3  # rendered again, under the same name
    assert mortal.run(prompt, cancel(mortal, "long", 4 * STEPS)).status == "interrupted"
    (file,) = checkpoints(mortal)
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)
    run = mortal.run(prompt)
    texts = [notice.text for notice in run.notices if notice.node_id == "long"]
    assert any(t.startswith("Ignoring an autosave that cannot be used") for t in texts)
    assert facts(run)["digest"] == expected
    mortal.run(mini_prompt(px_frames=9, seed=6))
    assert not checkpoints(mortal)
