"""Claims of papers as experiments: what is claimed, how it is run, what came out."""
