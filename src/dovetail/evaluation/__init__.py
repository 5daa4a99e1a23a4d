"""How well a model does, with intervals.

Recalls and accuracies are shares of 0..1 in code and in JSON, and printed in percent.
"""
