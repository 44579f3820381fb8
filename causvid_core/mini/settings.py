"""What `train-mini` makes, in this order, and how long it trains."""

PARTS = ("text", "vae", "decoder", "sketch", "latents", "dit")
STEPS = 2400
"""Training steps of the transformer."""
