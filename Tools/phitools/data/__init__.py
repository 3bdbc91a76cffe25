"""The data pipeline of the recipe: collect, deduplicate, annotate, filter, generate, decontaminate, tokenise, pack."""
