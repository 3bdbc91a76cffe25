"""The trainer: phi in PyTorch, one configuration file, one process or many. `python -m phitools.train --config
configs/nano.toml`."""
