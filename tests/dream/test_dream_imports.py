from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "module",
    [
        "dream.render",
        "dream.recipes",
        "dream.presets",
        "dream.octaves",
        "dream.feature_algorithms",
        "dream.networks",
        "dream.networks.cards",
        "dream.networks.inventory",
        "dream.networks.weights",
        "dream.runtime",
    ],
)
def test_tensorflow_does_not_load_with_what_only_describes_a_dream(module: str):
    script = f"import sys, {module}; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)

    assert done.returncode == 0


def test_pythons_own_sqlite_is_there_after_tensorflow():
    """A search in the catalog needs FTS5, which the SQLite inside TensorFlow has not."""
    script = (
        "from dream.runtime import configure; configure()\n"
        "import sqlite3; sqlite3.connect(':memory:').execute('CREATE VIRTUAL TABLE t USING fts5(words)')\n"
    )

    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)
