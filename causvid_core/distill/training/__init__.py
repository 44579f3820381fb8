"""The trainer: one TOML file an experiment, one process or many, resumable to the bit."""
