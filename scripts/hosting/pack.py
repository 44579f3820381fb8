"""A base directory for ComfyUI with this pack installed, like that of a user."""

import json
import shutil
from pathlib import Path

from .environment import ROOT

PACK_NAME = "causvid-stream"
PACK_PARTS = (
    "__init__.py",
    "pyproject.toml",
    "requirements.txt",
    "comfy-test.toml",
    "README.md",
    "LICENSE",
    "causvid_core",
    "locales",
    "nodes",
    "web",
    "workflows",
)
# Keeps the front end from showing its first-visit dialogs.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.InstalledVersion": "1.32.9",
    "Comfy.Notification.ShowVersionUpdates": False,
    "Comfy.Minimap.Visible": False,
    "Comfy.Locale": "en",
}


def prepare_base(base: Path, other_packs: tuple[Path, ...] = ()) -> Path:
    """Create or refresh a base directory with this pack; returns the pack's folder in it.

    Keeps models, inputs, outputs and settings that exist.
    """
    for name in ("custom_nodes", "input", "output", "models", "user/default/workflows"):
        (base / name).mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("comfy.settings.json", json.dumps(SETTINGS)),
        ("comfy.templates.json", "[]"),
        ("user.css", ""),
    ):
        file = base / "user" / "default" / name
        if not file.exists():
            file.write_text(content, "utf-8")
    for pack in other_packs:
        mirror([pack], base / "custom_nodes")
    installed = base / "custom_nodes" / PACK_NAME
    installed.mkdir(exist_ok=True)
    mirror([ROOT / part for part in PACK_PARTS], installed)
    return installed


def mirror(sources: list[Path], target: Path) -> None:
    """Copy changed files and folders into `target`, and delete files that a folder has lost."""
    for source in sources:
        wanted = {
            file.relative_to(source.parent): file
            for file in ([source] if source.is_file() else sorted(source.rglob("*")))
            if file.is_file() and "__pycache__" not in file.parts
        }
        for relative, file in wanted.items():
            copy = target / relative
            if not copy.exists() or _changed(file, copy):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, copy)
        for copy in (target / source.name).rglob("*"):
            stale = copy.is_file() and copy.relative_to(target) not in wanted
            if stale and "__pycache__" not in copy.parts:
                copy.unlink()


def _changed(file: Path, copy: Path) -> bool:
    a, b = file.stat(), copy.stat()
    return a.st_size != b.st_size or abs(a.st_mtime - b.st_mtime) > 2e-3
