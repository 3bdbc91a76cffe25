"""swift-phi beside its peers on one machine: `python -m compare`, run by `make bench`. ../README.md says how and what
came of it."""
