"""What is said of scenes: statements, languages, noise."""
