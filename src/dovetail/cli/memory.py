"""Keeping freed memory for the next step instead of returning it to the system, which costs a training step on a CPU
dearly."""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # of glibc's mallopt
_GIB = 1 << 30


def keep_memory() -> None:
    """Tells glibc to serve large blocks from its heap and to keep them. Does nothing with another C library."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _GIB)
        mallopt(_TRIM_THRESHOLD, 2 * _GIB - 1)
        mallopt(_TOP_PAD, 256 << 20)
