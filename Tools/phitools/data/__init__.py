"""The data of the recipe: collect, annotate, filter, textbooks, exercises, deduplicate, decontaminate, tokenize, pack.
One page each."""
