"""Makes torchvision and torchaudio importable with a torch without CUDA.

On Linux the package index has only CUDA builds of both. Their compiled parts do not load with a
CPU build of torch, and then torchvision fails on import. ComfyUI needs the modules but not those
parts, so the wheels are changed to work without them. Wheels that import as they are stay as they
are.
"""

import shutil
import subprocess
from pathlib import Path

MARK = "# CPU build of torch: the compiled operators are absent"
DECLARATIONS = f"""

{MARK}, so declare what the Python part refers to at import.
if not _has_ops():
    _absent = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _absent.define(_name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""


def repair(python: Path) -> list[str]:
    """Make both modules importable for `python`; returns the names of those that it changed."""
    repaired = []
    for module, fix in (("torchvision", _repair_torchvision), ("torchaudio", _repair_torchaudio)):
        if not _imports(python, module):
            fix(_site_packages(python) / module)
            repaired.append(module)
    return repaired


def works(python: Path) -> bool:
    """Whether torch, torchvision and torchaudio all import."""
    return _imports(python, "torch, torchvision, torchaudio")


def _imports(python: Path, modules: str) -> bool:
    done = subprocess.run([python, "-c", f"import {modules}"], capture_output=True)
    return done.returncode == 0


def _site_packages(python: Path) -> Path:
    code = "import sysconfig; print(sysconfig.get_paths()['platlib'])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())


def _repair_torchvision(folder: Path) -> None:
    extension = folder / "extension.py"
    if extension.is_file() and MARK not in (text := extension.read_text("utf-8")):
        extension.write_text(text + DECLARATIONS, "utf-8")


def _repair_torchaudio(folder: Path) -> None:
    """Without its libraries torchaudio runs as pure Python, which its documentation describes."""
    shutil.rmtree(folder / "lib", ignore_errors=True)
