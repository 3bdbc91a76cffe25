"""Compares swift-phi with its peers on one machine: `python -m compare`, run by `make bench`; see ../README.md."""
