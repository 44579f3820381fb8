"""Settings that the artist made in the editor, which the host keeps for its users."""

import json
from pathlib import Path
from typing import Any

import folder_paths
from server import PromptServer


def setting(name: str) -> Any:
    """The value of a setting; None where it was never changed or cannot be read.

    The host does not say who queued a prompt. Its only user is taken, or with several the default
    one.
    """
    manager = getattr(getattr(PromptServer, "instance", None), "user_manager", None)
    users = list(getattr(manager, "users", ()))
    user = users[0] if len(users) == 1 else "default"
    try:
        path = Path(folder_paths.get_user_directory()) / user / "comfy.settings.json"
        return json.loads(path.read_text("utf-8")).get(name)
    except (OSError, ValueError, AttributeError, TypeError):
        return None
