"""Page: report.html of a bench run, one file that needs nothing else: no font, no network, scripts of our own in it.

All words that come from data are escaped by the template engine. Every number stands in a <data> element with its
exact value.
"""

import base64
import re
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from openuni.benchmark.headline import VBENCH_SUITES, is_headline
from openuni.benchmark.paper_tables import table1, table1_radar
from openuni.benchmark.records import Record
from openuni.benchmark.report.answers import Answers, Shown
from openuni.benchmark.report.charts import WIDTH, Bars, bars
from openuni.benchmark.report.cloud import Packed, clouds, pack, write_ply
from openuni.benchmark.report.ranking import best_and_worst, failures, ranked, ranking_metric, suspicious
from openuni.benchmark.report.tiles import Tile, tiles
from openuni.benchmark.runs import BenchRun, Named
from openuni.benchmark.summary import Line, summarise
from openuni.benchmark.vbench.aggregate import NOT_ASKED
from openuni.engine.atomic import write_bytes
from openuni.run import versions

REPORT = "report.html"
POINTS = "pointclouds"
LEFT_OUT = ("results", "questions", "metrics", "records", "hardware", "runs")
"""Keys of results.json and run.json that are not settings."""


@dataclass(frozen=True)
class ClipView:
    """One clip of a question."""

    sample: str
    value: float
    flags: str
    caption: str
    problems: tuple[str, ...]
    tiles: tuple[Tile, ...]
    clouds: tuple[Packed, ...]


@dataclass(frozen=True)
class Section:
    """One question: a task and a modality of a suite, answered by one system."""

    suite: str
    task: str
    modality: str
    system: str
    answers: int
    metric: str
    protocol: str
    unit: str
    charts: tuple[Bars, ...]
    lines: tuple[Line, ...]
    best: tuple[ClipView, ...]
    worst: tuple[ClipView, ...]
    failures: Counter[str]
    suspicious: Counter[str]
    about: Mapping[str, tuple[str, bool | None]] = field(default_factory=dict)
    """Metric -> unit and whether higher is better."""
    topic: str = ""
    """Of a section about one of VBench's dimensions: which."""


def write_report(
    run: BenchRun, *, out: Path | None = None, data: Path | None = None, clips: int = 2, name: str = ""
) -> Path:
    """Write a run's page, and PLY files of its point clouds beside it.

    Args:
        run: what to report.
        out: the page's path; None: report.html in the run's folder.
        data: where the samples lie now; None: where the run says.
        clips: how many of the best and of the worst of each question are shown.
        name: of the run in titles; empty: its system's or folder's.

    Returns:
        The page's path.
    """
    path = out or run.folder / REPORT
    answers = Answers(run, data)
    sections = [section(run, records, answers, clips, path.parent / POINTS) for records in questions(run)]
    write_bytes(path, render(run, sections, name=name or run.name).encode(), durable=False)
    return path


def questions(run: BenchRun) -> list[list[Record]]:
    """Group a run's records by suite, task, modality and system, in their order; those of VBench by dimension too.

    VBench's dimensions rank clips each in its own way, so each has its own best and worst. What the official suite does
    not ask of a clip is left out.
    """
    groups: dict[tuple[str, str, str, str, str], list[Record]] = {}
    for one in run.records:
        dimension = one.metric if one.suite in VBENCH_SUITES else ""
        if one.flags != NOT_ASKED:
            groups.setdefault((one.suite, one.task, one.modality, one.system, dimension), []).append(one)
    return list(groups.values())


def section(run: BenchRun, records: list[Record], answers: Answers, clips: int, points: Path) -> Section:
    """Make one question's part of the page.

    Args:
        run: the run.
        records: of the question.
        answers: reads what is shown.
        clips: how many of the best and the worst.
        points: folder for PLY files.
    """
    first = records[0]
    lines = summarise(records)
    families = summarise(records, by_family=True)
    charts = []
    for line in lines:
        if not is_headline(line.suite, line.metric, line.protocol):
            continue
        parts = [one for one in families if (one.metric, one.protocol) == (line.metric, line.protocol)]
        unit, direction = run.unit(line.metric), run.direction(line.metric)
        chart = bars([line, *(parts if len(parts) > 1 else [])], unit=unit, higher_is_better=direction)
        charts += [chart] if chart is not None else []
    pair = ranking_metric(records, run, first.modality)
    best: list[ClipView] = []
    worst: list[ClipView] = []
    if pair is not None:
        order = ranked(records, *pair, higher_is_better=run.direction(pair[0]) is not False)
        sides = best_and_worst(order, clips)
        for side, views in zip(sides, (best, worst), strict=True):
            for one in side:
                shown = answers.read(first.task, first.modality, one.sample, one.seed, first.system)
                views.append(_view(shown, first.system, one.value, one.flags, points))
    return Section(
        first.suite, first.task, first.modality, first.system, len({(one.sample, one.seed) for one in records}),
        *(pair or ("", "")), run.unit(pair[0]) if pair else "", tuple(charts), tuple(lines), tuple(best), tuple(worst),
        failures(records), suspicious(records),
        {line.metric: (run.unit(line.metric), run.direction(line.metric)) for line in lines},
        first.metric.rpartition(".")[2].replace("_", " ") if first.suite in VBENCH_SUITES else "",
    )  # fmt: skip


def render(run: BenchRun, sections: list[Section], *, name: str) -> str:
    """Return the page's HTML."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"short": _short, "base64": _base64, "whole": lambda value: f"{value:,}"}
    table = table1([Named(name=name, run=run)], intervals=True)
    return environment.get_template("page.html").render(
        name=name,
        run=run,
        sections=sections,
        table=table,
        marks=table.marks(),
        radar=table1_radar(table),
        settings=settings_of(run),
        WIDTH=WIDTH,
        style=_file("page.css"),
        script=_file("page.js"),
        version=versions()["openuni"],
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def settings_of(run: BenchRun) -> list[tuple[str, str]]:
    """Return everything that decides a number, as (dotted name, value), in the files' order."""

    def flat(prefix: str, value: Any) -> list[tuple[str, str]]:
        if isinstance(value, dict):
            return [pair for key, inner in value.items() for pair in flat(f"{prefix}.{key}" if prefix else key, inner)]
        return [(prefix, "-" if value is None else str(value))]

    about = run.about or run.run
    return [pair for key, value in about.items() if key not in LEFT_OUT for pair in flat(key, value)]


def _view(shown: Shown, system: str, value: float, flags: str, points: Path) -> ClipView:
    drawn: list[Tile] = []
    packed: list[Packed] = []
    problems = list(shown.problems)
    try:  # an answer may be scored and still not be drawn
        drawn = tiles(shown)
        found = clouds(shown)
        answered = re.sub(r"[^\w.-]", "_", system)
        names = [f"{shown.sample}-{'truth' if cloud.name == 'truth' else answered}.ply" for cloud in found]
        for cloud, file in zip(found, names, strict=True):
            write_ply(points / file, cloud)
        packed = pack(found, names)
    except (ValueError, KeyError) as error:
        problems.append(f"the answer cannot be drawn: {error}")
    return ClipView(shown.sample, value, flags, shown.caption, tuple(problems), tuple(drawn), tuple(packed))


def _file(name: str) -> str:
    return files("openuni.benchmark.report").joinpath(name).read_text(encoding="utf-8")


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
