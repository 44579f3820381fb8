"""Training data: encoded clips, ODE pairs and prompts."""
