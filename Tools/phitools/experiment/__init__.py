"""phi-1's experiment at a millionth of its size: does selected data beat more data? See `python -m
phitools.experiment --help`."""
