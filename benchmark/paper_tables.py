"""Paper tables: the layouts of UnityVideo's Tables 1 to 4 with the published rows and ours below them.

Ours in Table 1 are two rows. ControlGen: RGB from a map (task cond), mean over the modalities. Unified: RGB made
jointly with depth (task joint) for the columns of text-to-video, estimation (task est) for masks and depth.
"""

from collections.abc import Sequence

import numpy as np

from openuni.benchmark.headline import VBENCH
from openuni.benchmark.published import PublishedTable, published
from openuni.benchmark.radar import Axis, Shape, radar
from openuni.benchmark.runs import Named
from openuni.benchmark.summary import Line, summarise
from openuni.benchmark.table_form import Cell, Row, Table
from openuni.errors import BadInput
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
NO_VBENCH = "Not computed: this run has no records of suite vbench."
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
        lines = summarise(named.run.records)
        made = _modalities(lines, "joint")
        wanted: list[tuple[str, str, list[str]]] = {
            2: [(f", {name}", "joint", [name]) for name in made or ["depth"]],
            3: [(" ControlGen", "cond", _modalities(lines, "cond")), (" JointGen", "joint", made)],
            4: [("", "joint", made)],
        }[number]
        for suffix, task, modalities in wanted:
            cells = [_generated(lines, column, task, modalities, intervals=intervals) for column in paper.columns]
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
    unified = paper.groups["unified"]
    modalities = _modalities(lines, "cond")
    control = [_generated(lines, column, "cond", modalities, intervals=intervals) for column in paper.columns[:4]]
    rows = [_ours(named, " (ControlGen)", [*control, *[Cell()] * 4], unified)]
    for one in modalities if by_modality else ():
        cells = [_generated(lines, column, "cond", [one], intervals=intervals) for column in paper.columns[:4]]
        rows.append(_ours(named, f" (ControlGen, {one})", [*cells, *[Cell()] * 4], unified))
    joint = [_generated(lines, column, "joint", ["depth"], intervals=intervals) for column in paper.columns[:4]]
    estimated = [_estimated(lines, column, "", intervals=intervals) for column in paper.columns[4:]]
    return [*rows, _ours(named, " (Unified)", [*joint, *estimated], unified)]


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


def _generated(lines: Sequence[Line], column: str, task: str, modalities: Sequence[str], *, intervals: bool) -> Cell:
    """A dimension of VBench in percent, mean over modalities that have it."""
    found = [
        line
        for line in lines
        if line.suite == VBENCH
        and line.task == task
        and line.modality in modalities
        and line.metric.rpartition(".")[2] == column
    ]
    given = [line for line in found if line.mean is not None]
    if not given:
        return Cell("n/a", (_why_not(lines, found, task),))
    mean = float(np.mean([line.mean for line in given]))
    (first, *others) = given
    text = _number(100 * mean, column)
    if others:
        return Cell(text, ("Mean over " + ", ".join(line.modality for line in given) + ".",))
    return Cell(text + _ends(first, column, 100.0 if intervals else None))


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


def _why_not(lines: Sequence[Line], found: Sequence[Line], task: str) -> str:
    if not any(line.task == task for line in lines):
        return f"Task {task} was not asked in this run."
    if found:
        return "No clip has a value."
    return (
        NO_VBENCH if not any(line.suite == VBENCH for line in lines) else "This dimension is not in the run's records."
    )


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
