"""A trainer of phi in PyTorch, for one process or several: `python -m phitools.train --config configs/nano.toml`."""
