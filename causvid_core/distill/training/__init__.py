"""The trainer: a TOML file an experiment, one process or many, resumable to the bit.

Others use `config.read_config`, `settings.Experiment` (and `tables.read_table` to make one),
`ranks.joined`, `run.train` and `export.export`; the Mini also trains its VAE with `learner`,
`saved_runs` and `metrics`. The rest is private.
"""
