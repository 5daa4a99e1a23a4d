"""Keeping freed memory."""

import ctypes
import sys

import pytest

from dovetail.cli.memory import keep_memory


def test_is_asked_of_glibc_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    class _Library:
        def __init__(self, name: None):
            self.mallopt = lambda option, value: asked.append((option, value))

    monkeypatch.setattr(ctypes, "CDLL", _Library)
    monkeypatch.setattr(sys, "platform", "darwin")
    keep_memory()
    assert not asked
    monkeypatch.setattr(sys, "platform", "linux")
    keep_memory()
    assert {option for option, _ in asked} == {-1, -2, -3} and all(0 < value < 2**31 for _, value in asked)


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_memory()
