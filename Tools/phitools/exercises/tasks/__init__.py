"""Everyday tasks: tables (`*.txt`) of small functions and classes, each with phrases that ask for it, one or more bodies
and an example worked by hand. `stream.py` draws exercises from them in many wordings and forms.
"""
