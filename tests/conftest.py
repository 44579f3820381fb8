"""Makes the core and the node pack importable without touching ComfyUI's own module names.

The repository root must never be on `sys.path`: it holds a folder `nodes`, which would shadow
ComfyUI's module of that name. Instead a finder answers for two names only:

* `causvid_core`, as if the package were installed;
* `causvid_pack`, the repository root itself, so that tests may import `causvid_pack.nodes`.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent


class CoreFinder:
    """Finds `causvid_core` in the repository and leaves every other name to the next finder."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name == "causvid_core":
            return PathFinder.find_spec(name, [str(ROOT)])
        return None


def _register_pack() -> None:
    pack = ModuleType("causvid_pack")
    pack.__path__ = [str(ROOT)]
    sys.modules.setdefault("causvid_pack", pack)


sys.meta_path.insert(0, CoreFinder)
_register_pack()
