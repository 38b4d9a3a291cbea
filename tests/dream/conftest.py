"""TensorFlow is settled before any test module loads it: some of its switches are read only then."""

from __future__ import annotations

from dream.runtime import configure

configure()
