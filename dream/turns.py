"""Turns: small work side by side, large work alone. No TensorFlow here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Turns:
    """Who may work beside others and who must not; one that waits to be alone goes before others that come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._working = 0
        self._alone = False
        self._waiting = 0

    @contextlib.contextmanager
    def beside(self) -> Iterator[None]:
        """Work that may go on beside other work of its kind."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._working += 1
        try:
            yield
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Work beside which nothing else goes on."""
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._alone and not self._working)
                self._alone = True
            finally:
                self._waiting -= 1
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
