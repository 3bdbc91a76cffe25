"""A benchmark of swift-phi against its peers on one machine: `python -m compare`, run by `make bench`. ../README.md
has method and results."""
