"""Loaded by Python at its start where this folder is on PYTHONPATH: how tests reach into the processes that they start.

Each part is in a module beside this one, and is installed where the environment asks for it.
"""

from __future__ import annotations

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PARTS = {"DREAMCRAWL_TEST_NAMES": "made_up_names", "DREAMCRAWL_TEST_CATALOGS": "led_catalogs"}

for _variable, _part in PARTS.items():
    if os.environ.get(_variable):
        # By its file, because nothing else in this folder is to be importable.
        _spec = spec_from_file_location(f"_{_part}", Path(__file__).with_name(f"{_part}.py"))
        assert _spec is not None
        assert _spec.loader is not None
        _module = module_from_spec(_spec)
        _spec.loader.exec_module(_module)
        _module.install()
