"""A stream: its recipe, noise, plan, rollout and state."""
