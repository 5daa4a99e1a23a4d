"""Benchmarks on worlds: since every fact of a scene is known, each asks for one sort of fact."""
