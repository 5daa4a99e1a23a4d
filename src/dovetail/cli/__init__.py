"""The command line.

Threads that wait for work must not burn the cores that the image loaders need: with OpenMP's default, a training step
on two busy cores takes many times as long. The variable is read when torch starts, so it is set before anything
imports it.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
