"""Runs: what `openuni bench` left in a folder, read back: records, and what decides whether they can be compared.

A model's run has results.json; an annotator's run has run.json alone, which says less.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openuni.benchmark.records import RECORDS, Record, read_records
from openuni.benchmark.results import RESULTS
from openuni.errors import BadInput, first_line
from openuni.run import RUN_JSON

SCHEMAS = (1,)
"""Versions of results.json that can be read."""


@dataclass(frozen=True, kw_only=True)
class BenchRun:
    """One run."""

    folder: Path
    records: list[Record]
    about: Mapping[str, Any]
    """results.json; empty where there is none."""
    run: Mapping[str, Any]
    """run.json; empty where there is none."""

    @property
    def systems(self) -> tuple[str, ...]:
        """Who answered, in the order of records."""
        return tuple(dict.fromkeys(one.system for one in self.records))

    @property
    def name(self) -> str:
        """What it is called where nobody says: its system, or its folder where several answered."""
        return self.systems[0] if len(self.systems) == 1 else self.folder.absolute().name

    @property
    def label(self) -> str:
        """What tables call the data: "UniBench", "UniBench-mini", or its folder's name."""
        named = self.about.get("label") or self._data.get("label")
        return str(named or (Path(self.data).name if self.data else ""))

    @property
    def data(self) -> str:
        """The data's folder; empty if unknown."""
        return str(self._data.get("folder") or self.run.get("config", {}).get("data") or "")

    @property
    def protocols(self) -> dict[str, str]:
        """What decides how an answer is scored -> its version: "judge", and each suite."""
        suites = self.about.get("suites", {})
        found = {f"suite {name}": str(about.get("version", "")) for name, about in suites.items()}
        return found | ({"judge": str(self.about["judge"])} if "judge" in self.about else {})

    @property
    def versions(self) -> dict[str, str]:
        """Package -> version."""
        return dict(self.about.get("versions") or self.run.get("versions") or {})

    @property
    def settings(self) -> dict[str, Any]:
        """What was asked: samples for each question, seed, the sampler's settings, or an annotator run's own."""
        if "run" in self.about:
            return dict(self.about["run"])
        return {key: value for key, value in self.run.get("config", {}).items() if key not in ("data", "out")}

    def direction(self, metric: str) -> bool | None:
        """Say whether higher is better; None where neither way is, or nobody says."""
        return self._of(metric)[1]

    def unit(self, metric: str) -> str:
        """Return a metric's unit; empty if nobody says."""
        return self._of(metric)[0]

    @property
    def _data(self) -> Mapping[str, Any]:
        data: Mapping[str, Any] = self.about.get("data", {})
        return data

    def _of(self, metric: str) -> tuple[str, bool | None]:
        from openuni.table import METRICS, load

        told = self.about.get("metrics", {}).get(metric)
        if told is not None:
            return str(told.get("unit", "")), told.get("higher_is_better")
        if metric in METRICS:
            found = load("metric", METRICS, metric)
            return found.unit, found.higher_is_better
        return "", None


@dataclass(frozen=True, kw_only=True)
class Named:
    """A run and what its rows are called."""

    name: str
    run: BenchRun


def named_runs(texts: Iterable[str]) -> list[Named]:
    """Read "NAME=RUN" or "RUN" texts; the name is then the system's, or the folder's where several answered.

    Raises:
        BadInput: two runs have one name; see `read_run`.
    """
    found: list[Named] = []
    for text in texts:
        name, equals, folder = text.partition("=")
        run = read_run(Path(folder if equals else text))
        if not equals:
            name = run.name
        if name in {one.name for one in found}:
            raise BadInput(
                f"Two runs are called {name}. Give them names: FIRST={found[0].run.folder} SECOND={run.folder}"
            )
        found.append(Named(name=name, run=run))
    return found


def read_run(folder: Path) -> BenchRun:
    """Read a run's folder.

    Raises:
        BadInput: there are no records, or a file is damaged or of another version.
    """
    if not (folder / RECORDS).is_file():
        raise BadInput(f"{folder} has no {RECORDS}. Give the output folder of openuni bench.")
    try:
        records = read_records(folder / RECORDS)
    except Exception as error:  # pyarrow's errors have no common base
        first = first_line(error)
        raise BadInput(f"{folder / RECORDS} cannot be read ({first}). Run openuni bench again.") from error
    about, run = _json(folder / RESULTS), _json(folder / RUN_JSON)
    if about and about.get("schema") not in SCHEMAS:
        given, known = about.get("schema"), ", ".join(map(str, SCHEMAS))
        raise BadInput(f"{folder / RESULTS} has schema {given}, expected {known}. Run openuni bench again.")
    return BenchRun(folder=folder, records=records, about=about, run=run)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read ({error}). Run openuni bench again.") from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no object. Run openuni bench again.")
    return found
