"""comfy-test, the community's checker of node packs, passes on every level in comfy-test.toml."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hosting.browser import find_browser
from hosting.environment import Environment
from hosting.host import Host
from hosting.pins import HOST_RELEASES

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("run_comfy_test.py")


@pytest.mark.parametrize("release", list(HOST_RELEASES))
def test_every_level_passes(
    release: str, environment: Environment, start_host: Callable[..., Host]
) -> None:
    pytest.importorskip("comfy_test")
    browser = find_browser()
    if browser is None:
        pytest.skip("No Chromium or Chrome was found; CAUSVID_CHROMIUM may name one.")
    host = start_host(release)
    logs = host.base / "comfy-test"
    logs.mkdir()
    shutil.copy(host.server.log, logs / "server.log")  # where it looks for import errors
    paths = (ROOT / "scripts", environment.comfyui(release), environment.packages(release))
    variables = {
        "CAUSVID_CHROMIUM": str(browser),
        "COMFY_TEST_LOGS_DIR": str(logs),
        "COMFY_TEST_WORKSPACE_DIR": str(host.base / "comfy-test-work"),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONUTF8": "1",
    }
    with host.placeholder_models(host.workflow("text_to_video_wan_1_3B")):
        done = subprocess.run(
            [environment.python, RUNNER, "run", "--server-url", host.address],
            cwd=host.pack,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
        )
    host.stop()
    artifacts = ROOT / "artifacts"
    artifacts.mkdir(exist_ok=True)
    (artifacts / f"comfy-test-{release}.log").write_text(done.stdout, "utf-8")
    assert done.returncode == 0, done.stdout[-4000:]
    assert not re.search(r"\bFAIL(ED)?\b", done.stdout), done.stdout[-4000:]
