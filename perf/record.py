"""Writes what a perf script measured, with date, commit and hardware. Not a measurement itself."""

import json
import time
from pathlib import Path
from typing import Any

from openuni.run import commit_hash, hardware, versions

RESULTS = Path(__file__).parent / "results"


def record(name: str, **measured: Any) -> Path:
    """Write perf/results/<name>.json and return its path."""
    about = {
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit_hash(),
        "hardware": hardware(),
        "versions": {key: value for key, value in versions().items() if key != "commit"},
    }
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({**about, **measured}, indent=2) + "\n")
    print(f"wrote {path.relative_to(RESULTS.parent.parent)}")
    return path
