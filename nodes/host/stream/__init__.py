"""A stream inside the host: from widgets to a rollout and back."""
