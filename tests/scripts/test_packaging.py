"""The pack as a plain Python package, for use of `causvid_core` without ComfyUI."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_wheel_contains_only_the_core_and_its_weights(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "causvid_core", source / "causvid_core", ignore=ignored)
    for name in ("nodes", "tests", "scripts"):
        (source / name).mkdir()
        (source / name / "__init__.py").touch()
    for name in ("pyproject.toml", "README.md", "LICENSE", "__init__.py"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", source]
    done = subprocess.run([*command, "-w", tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = tmp_path.glob("causvid_stream-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if ".dist-info/" not in name}
    files = (ROOT / "causvid_core").rglob("*")
    wanted = {p.relative_to(ROOT).as_posix() for p in files if p.suffix in (".py", ".safetensors")}
    assert packed >= wanted
    assert all(name.startswith("causvid_core/") for name in packed)
