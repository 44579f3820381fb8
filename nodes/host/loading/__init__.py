"""Models, text encoders and checkpoints as the host holds them."""
