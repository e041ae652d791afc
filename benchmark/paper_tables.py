"""Paper tables: the layouts of UnityVideo's Tables 1 to 4 with the published rows and ours below them.

Ours in Table 1 are two rows. ControlGen: RGB from a map (task cond), mean over the modalities. Unified: RGB made
jointly with depth (task joint) for the columns of text-to-video, estimation (task est) for masks and depth. A run that
made RGB from text alone stands with the text-to-video systems. VBench's columns are its own means over a suite.
"""

from collections.abc import Sequence

import numpy as np

from openuni.benchmark.headline import VBENCH_SUITES
from openuni.benchmark.published import PublishedTable, published
from openuni.benchmark.radar import Axis, Shape, radar
from openuni.benchmark.records import Record
from openuni.benchmark.runs import Named
from openuni.benchmark.summary import Line, summarise
from openuni.benchmark.table_form import Cell, Row, Table
from openuni.benchmark.vbench.aggregate import Mean, means
from openuni.errors import BadInput
from openuni.generator import RGB
from openuni.table import MODALITIES

RADAR_ROWS = ("Wan2.1-14B", "Aether", "UnityVideo (ControlGen)", "UnityVideo (Unified)")
"""Published rows that the radar shows."""
LOWER = frozenset({"abs_rel"})
"""Columns where less is better."""
NEUTRAL = frozenset({"dynamic_degree"})
"""Columns where neither is."""
ESTIMATED = {
    "miou": ("segmentation", "segmentation.miou", "clip", 100.0),
    "map": ("segmentation", "segmentation.ap", "clip", 100.0),
    "abs_rel": ("depth", "depth.abs_rel", "disp-ls", 1.0),
    "delta_1_25": ("depth", "depth.delta1", "disp-ls", 100.0),
}
"""Column -> modality, metric, protocol, and what its value is multiplied by. disp-ls is our reading of the paper's."""
HEADINGS = {
    "background_consistency": "Background Consistency",
    "subject_consistency": "Subject Consistency",
    "aesthetic_quality": "Aesthetic Quality",
    "overall_consistency": "Overall Consistency",
    "dynamic_degree": "Dynamic Degree",
    "imaging_quality": "Imaging Quality",
    "temporal_flickering": "Temporal Flickering",
    "motion_smoothness": "Motion Smoothness",
    "miou": "mIoU",
    "map": "mAP",
    "abs_rel": "AbsRel",
    "delta_1_25": "\u03b4 < 1.25",
}
NOTES = {
    "miou": "Ours: tubes matched once for each clip, mean over true instances.",
    "map": "Ours: IoU .5:.05:.95 of tubes; masks have no confidences, so precision times recall.",
    "abs_rel": "Ours: one scale and shift of disparity for each clip by least squares (disp-ls). The paper names no "
    "alignment; by others the same estimate has 0.013 to 0.17.",
    "delta_1_25": "Ours: aligned as AbsRel.",
}
"""Column -> how ours is computed, where the paper does not say how theirs is."""
NO_VBENCH = "Not computed: this run has no records of suite vbench or vbench-clips."
TEXT_ROW = " (text to video)"
PUBLISHED = "Published figure ({source}), not measured here. Its protocol is unknown: {unknown}."


def table1(runs: Sequence[Named] = (), *, by_modality: bool = False, intervals: bool = False) -> Table:
    """Table 1: the paper's groups and eight columns, published rows, then ours.

    Args:
        runs: models' runs get the rows ControlGen and Unified; annotators' runs stand with the depth or mask systems.
        by_modality: also one ControlGen row for each modality.
        intervals: write 95 % intervals into our cells.
    """
    paper = published(1)
    rows = _published_rows(paper)
    for named in runs:
        rows += _ours1(named, paper, by_modality=by_modality, intervals=intervals)
    order = list(paper.groups.values())
    rows.sort(key=lambda row: order.index(row.group))  # stable: ours stay behind the published rows of their group
    return _table(paper, rows, runs)


def ablation_table(number: int, runs: Sequence[Named] = (), *, intervals: bool = False) -> Table:
    """Tables 2 to 4: published rows, then one row for each run and modality (2), task (3), or run (4).

    Args:
        number: 2, 3 or 4.
        runs: of models, one for each line of the ablation.
        intervals: write 95 % intervals into our cells.
    """
    paper = published(number)
    rows = _published_rows(paper)
    for named in runs:
        lines, vbench = summarise(named.run.records), _Vbench(named.run.records)
        made = _modalities(lines, "joint")
        wanted: list[tuple[str, str, list[str]]] = {
            2: [(f", {name}", "joint", [name]) for name in made or ["depth"]],
            3: [(" ControlGen", "cond", _modalities(lines, "cond")), (" JointGen", "joint", made)],
            4: [("", "joint", made)],
        }[number]
        if _only_text(lines):
            wanted = [(TEXT_ROW, "text", [RGB])]
        for suffix, task, modalities in wanted:
            cells = [vbench.cell(column, task, modalities, intervals=intervals) for column in paper.columns]
            rows.append(_ours(named, suffix, cells, ""))
    return _table(paper, rows, runs)


def paper_table(number: int, runs: Sequence[Named], *, by_modality: bool = False, intervals: bool = False) -> Table:
    """Return one of the paper's tables with ours in it.

    Raises:
        BadInput: there is no such table.
    """
    if number not in (1, 2, 3, 4):
        raise BadInput(f"There is no table {number}; the paper's are 1, 2, 3 and 4.")
    if number == 1:
        return table1(runs, by_modality=by_modality, intervals=intervals)
    return ablation_table(number, runs, intervals=intervals)


def _ours1(named: Named, paper: PublishedTable, *, by_modality: bool, intervals: bool) -> list[Row]:
    lines = summarise(named.run.records)
    if all(line.suite == "annotators" for line in lines):
        return _annotator_rows(named, lines, paper, intervals=intervals)
    unified, vbench = paper.groups["unified"], _Vbench(named.run.records)
    text = [vbench.cell(column, "text", [RGB], intervals=intervals) for column in paper.columns[:4]]
    spoken = _ours(named, TEXT_ROW, [*text, *[Cell()] * 4], paper.groups["t2v"])
    if _only_text(lines):
        return [spoken]
    modalities = _modalities(lines, "cond")
    control = [vbench.cell(column, "cond", modalities, intervals=intervals) for column in paper.columns[:4]]
    rows = [_ours(named, " (ControlGen)", [*control, *[Cell()] * 4], unified)]
    for one in modalities if by_modality else ():
        cells = [vbench.cell(column, "cond", [one], intervals=intervals) for column in paper.columns[:4]]
        rows.append(_ours(named, f" (ControlGen, {one})", [*cells, *[Cell()] * 4], unified))
    joint = [vbench.cell(column, "joint", ["depth"], intervals=intervals) for column in paper.columns[:4]]
    estimated = [_estimated(lines, column, "", intervals=intervals) for column in paper.columns[4:]]
    rows.append(_ours(named, " (Unified)", [*joint, *estimated], unified))
    return [spoken, *rows] if any(line.suite in VBENCH_SUITES and line.task == "text" for line in lines) else rows


def _only_text(lines: Sequence[Line]) -> bool:
    """Whether a run made RGB from text and nothing else: videos, or a text-to-video model."""
    return {line.task for line in lines} == {"text"}


def _annotator_rows(named: Named, lines: list[Line], paper: PublishedTable, *, intervals: bool) -> list[Row]:
    """Systems that only estimate stand beside DepthCrafter and SAMWISE."""
    rows = []
    for group, modality, columns in (
        ("depth", "depth", paper.columns[6:]),
        ("seg", "segmentation", paper.columns[4:6]),
    ):
        for system in dict.fromkeys(line.system for line in lines if line.modality == modality):
            cells = [
                _estimated(lines, column, system, intervals=intervals) if column in columns else Cell()
                for column in paper.columns
            ]
            rows.append(_ours(named, f" {system}", cells, paper.groups[group]))
    return rows


def _ours(named: Named, suffix: str, cells: list[Cell], group: str) -> Row:
    label = f", on {named.run.label}" if named.run.label else ""
    return Row((Cell(named.name + suffix + label), *cells), group, ours=True)


def _published_rows(paper: PublishedTable) -> list[Row]:
    rows, told = [], PUBLISHED.format(source=paper.source, unknown=paper.unknown)
    for row in paper.rows:
        cells = [
            Cell(_number(value, column), best=_is_best(paper, column, value))
            for value, column in zip(row.values, paper.columns, strict=True)
        ]
        rows.append(
            Row((Cell(row.model, (told, row.note) if row.note else (told,)), *cells), paper.groups.get(row.group, ""))
        )
    return rows


def _is_best(paper: PublishedTable, column: str, value: float | None) -> bool:
    """Among published rows only: ours are of other clips, so that a best of both would claim what is not known."""
    if value is None or column in NEUTRAL:
        return False
    place = paper.columns.index(column)
    others = [row.values[place] for row in paper.rows]
    found = [one for one in others if one is not None]
    return value == (min(found) if column in LOWER else max(found))


def _table(paper: PublishedTable, rows: list[Row], runs: Sequence[Named]) -> Table:
    arrows = {
        column: " \u2193" if column in LOWER else "" if column in NEUTRAL else " \u2191" for column in paper.columns
    }
    heads = [
        Cell(HEADINGS[column] + arrows[column], (NOTES[column],) if column in NOTES else ()) for column in paper.columns
    ]
    notes = [
        *paper.notes,
        "Percent, but for AbsRel. An arrow tells which way is better; bold or * is the best of the published rows.",
    ]
    for named in runs:
        clips = len({one.sample for one in named.run.records})
        where = f" on {named.run.label}" if named.run.label else ""
        notes.append(f"{named.name}: {clips} clips{where}, not the published rows' clips: no ranking between them.")
    return Table(
        title=f"Table {paper.number}. {paper.title}", columns=(Cell("Model"), *heads), rows=rows, notes=notes
    )  # fmt: skip


def _modalities(lines: Sequence[Line], task: str) -> list[str]:
    """Modalities that a task was asked with, in the order of MODALITIES."""
    asked = {line.modality for line in lines if line.task == task}
    return [name for name in MODALITIES if name in asked]


class _Vbench:
    """A run's numbers of VBench: its own means over each suite, and the intervals of its lines."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.lines = summarise(records)
        groups: dict[tuple[str, str], list[Record]] = {}
        for one in records:
            if one.suite in VBENCH_SUITES:
                groups.setdefault((one.task, one.modality), []).append(one)
        self.means = {key: means(group) for key, group in groups.items()}

    def cell(self, column: str, task: str, modalities: Sequence[str], *, intervals: bool) -> Cell:
        """A dimension in percent, mean over modalities that have it."""
        asked = {one: self.means.get((task, one), {}).get(column) for one in modalities}
        given = {one: mean.value for one, mean in asked.items() if mean is not None and mean.value is not None}
        if not given:
            return Cell("n/a", (self._why_not([one for one in asked.values() if one is not None], task),))
        text = _number(100 * float(np.mean(list(given.values()))), column)
        if len(given) > 1:
            return Cell(text, ("Mean over " + ", ".join(given) + ".",))
        (modality,) = given
        line = next(
            line for line in self.lines
            if line.suite in VBENCH_SUITES and (line.task, line.modality) == (task, modality)
            and line.metric.rpartition(".")[2] == column
        )  # fmt: skip
        without = asked[modality].without  # type: ignore[union-attr]
        notes = (f"{line.clips} of {line.clips + without} clips have a value.",) if without else ()
        return Cell(text + _ends(line, column, 100.0 if intervals else None), notes)

    def _why_not(self, asked: Sequence[Mean], task: str) -> str:
        if not any(line.task == task for line in self.lines):
            return f"Task {task} was not asked in this run."
        if asked:
            return f"No clip has a value: {asked[0].reason.replace('_', ' ')}."
        if not any(line.suite in VBENCH_SUITES for line in self.lines):
            return NO_VBENCH
        return "This dimension is not in the run's records."


def _estimated(lines: Sequence[Line], column: str, system: str, *, intervals: bool) -> Cell:
    modality, metric, protocol, factor = ESTIMATED[column]
    found = [
        line
        for line in lines
        if (line.task, line.modality, line.metric, line.protocol) == ("est", modality, metric, protocol)
        and system in ("", line.system)
    ]
    mean = found[0].mean if found else None
    if mean is None:
        why = f"No {modality} was estimated in this run." if not found else f"No clip has a value of {metric}."
        return Cell("n/a", (why,))
    line = found[0]
    notes = (f"{line.clips} of {line.clips + line.without} clips have a value.",) if line.without else ()
    return Cell(_number(factor * mean, column) + _ends(line, column, factor if intervals else None), notes)


def _ends(line: Line, column: str, factor: float | None) -> str:
    if factor is None or line.low is None or line.high is None:
        return ""
    return f" ({_number(factor * line.low, column)}-{_number(factor * line.high, column)})"


def _number(value: float | None, column: str) -> str:
    """As the paper prints: three decimals for AbsRel, else two."""
    return "" if value is None else f"{value:.3f}" if column in LOWER else f"{value:.2f}"


def table1_radar(table: Table, names: Sequence[str] = RADAR_ROWS) -> str:
    """Draw some published rows of Table 1 and all of ours, as SVG.

    Args:
        table: what `table1` gave.
        names: published rows.
    """
    paper = published(1)
    axes = [Axis(HEADINGS[column], column not in LOWER, 3 if column in LOWER else 1) for column in paper.columns]
    shapes = []
    for row in table.rows:
        name, *cells = row.cells
        # An interval in brackets is not drawn.
        values = tuple(float(cell.text.partition(" ")[0]) if cell.text[:1].isdigit() else None for cell in cells)
        if (row.ours or name.text in names) and any(value is not None for value in values):
            shapes.append(Shape(name.text, values, not row.ours))
    return radar(axes, shapes, title="Table 1 as a radar; dashed outlines are published figures")
