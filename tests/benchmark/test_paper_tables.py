"""The paper's tables: every published cell, ours in their rows, what is absent, forms, radar, command."""

import re
import xml.etree.ElementTree as ET

import pytest
import typer
from typer.testing import CliRunner

from openuni.benchmark.paper_tables import ablation_table, paper_table, table1, table1_radar
from openuni.benchmark.published import TABLES, published
from openuni.benchmark.radar import Axis, Shape, radar
from openuni.benchmark.runs import named_runs
from openuni.benchmark.table_form import Cell, Row, Table, to_latex, to_markdown, to_text
from openuni.cli.bench_table import print_table
from openuni.errors import BadInput
from tests.benchmark.synthetic_runs import depth_records, record, vbench_records, write_run

PRINTED = {
    1: """
        Kling1.6 | 95.33 60.48 21.76 47.05 - - - -
        OpenSora2 | 96.51 61.51 19.87 34.48 - - - -
        HunyuanVideo-13B | 96.28 53.45 22.61 41.18 - - - -
        Wan2.1-14B | 96.78 63.66 21.53 34.31 - - - -
        Aether | 95.28 48.25 20.26 37.32 - - 0.025 97.95
        full-dit | 95.58 54.82 20.12 49.50 - - - -
        VACE | 93.61 51.24 17.52 61.32 - - - -
        depth-crafter | - - - - - - 0.065 96.94
        Geo4D | - - - - - - 0.053 97.94
        SAMWISE | - - - - 62.21 20.12 - -
        SeC | - - - - 65.52 22.23 - -
        UnityVideo (ControlGen) | 96.04 54.63 21.86 64.42 - - - -
        UnityVideo (Unified) | 97.44 64.12 23.57 47.76 68.82 23.25 0.022 98.98
    """,
    2: """
        Baseline | 96.51 96.06 64.99 23.17
        Only Flow | 97.82 97.14 67.34 23.70
        Only Depth | 98.13 97.29 69.09 23.48
        Ours-Flow | 97.97 97.19 69.36 23.74
        Ours-Depth | 98.01 97.24 69.18 23.75
    """,
    3: """
        Baseline | 96.51 96.06 98.73 99.30
        Only ControlGen | 96.53 95.58 98.45 99.28
        Only JointGen | 98.01 97.24 99.10 99.44
        Ours-ControlGen | 96.53 96.08 98.79 99.38
        Ours-JointGen | 97.94 97.18 99.13 99.48
    """,
    4: """
        Baseline | 96.51 96.06 98.73 99.30
        w/ In-Context Learner | 97.92 97.08 99.04 99.42
        w/ Modality Switcher | 97.94 97.18 99.13 99.48
        Ours | 98.31 97.54 99.35 99.54
    """,
}
"""Rows as they stand in the paper's tables, copied apart from the package's data."""

COLUMNS = {
    1: "background_consistency aesthetic_quality overall_consistency dynamic_degree miou map abs_rel delta_1_25",
    2: "subject_consistency background_consistency imaging_quality overall_consistency",
    3: "subject_consistency background_consistency temporal_flickering motion_smoothness",
    4: "subject_consistency background_consistency temporal_flickering motion_smoothness",
}
GROUPS = {"t2v": 5, "control": 2, "depth": 2, "seg": 2, "unified": 2}


@pytest.mark.parametrize("number", TABLES)
def test_every_published_cell_is_as_printed(number):
    printed = [line.split(" | ") for line in PRINTED[number].strip().splitlines()]
    table = published(number)
    assert table.columns == tuple(COLUMNS[number].split())
    assert [row.model for row in table.rows] == [name.strip() for name, _ in printed]
    for row, (_, cells) in zip(table.rows, printed, strict=True):
        assert row.values == tuple(None if cell == "-" else float(cell) for cell in cells.split())
    # And as they are written again: the same digits, blanks blank.
    for row, (_, cells) in zip(paper_table(number, []).rows, printed, strict=True):
        assert [cell.text for cell in row.cells[1:]] == [cell.replace("-", "") for cell in cells.split()]


def test_table_1_has_the_paper_s_groups_and_marks_what_is_unknown():
    groups = [row.group for row in published(1).rows]
    assert {name: groups.count(name) for name in groups} == GROUPS
    table = table1()
    assert all(any("protocol is unknown" in note for note in row.cells[0].notes) for row in table.rows)
    best = [cell.text for row in table.rows for cell in row.cells if cell.best]
    assert best == ["97.44", "64.12", "23.57", "68.82", "23.25", "0.022", "98.98"]  # dynamic degree has no best
    text = to_text(table)
    assert "alignment of depth" in text and "-- Text2Video --" in text and "AbsRel \u2193" in text


@pytest.fixture
def model(tmp_path):
    """A model's run: est of depth and masks, and VBench of joint and cond."""
    masks = [
        record(f"segmentation.{name}", value, f"scene-{n:02d}", modality="segmentation", protocol="clip")
        for n in range(12)
        for name, value in (("miou", 0.5), ("ap", 0.25))
    ]
    tasks = [("joint", "depth"), ("joint", "flow"), ("cond", "depth")]
    seen = vbench_records(tasks) + vbench_records([("cond", "flow")], shift=0.02)
    return write_run(tmp_path / "model", [*depth_records(), *masks, *seen])


def test_ours_are_two_rows_controlgen_from_cond_and_unified_from_joint_depth_and_est(model):
    table = table1(named_runs([f"mine={model}"]))
    control, unified = [row for row in table.rows if row.ours]
    assert table.rows[-2:] == [control, unified] and unified.group == table.rows[-3].group
    assert [cell.text for cell in control.cells] == [
        "mine (ControlGen), on UniBench-mini", "95.00", "54.00", "21.00", "99.00", "", "", "", ""
    ]  # fmt: skip
    assert control.cells[1].notes == ("Mean over depth, flow.",)
    assert [cell.text for cell in unified.cells[:7]] == [
        "mine (Unified), on UniBench-mini", "96.00", "55.00", "22.00", "100.00", "50.00", "25.00"
    ]  # fmt: skip
    wanted = sum(one.value for one in depth_records() if one.metric == "depth.abs_rel") / 12
    assert unified.cells[7].text == f"{wanted:.3f}" and not any(cell.best for cell in unified.cells)
    rows = [row.cells for row in table1(named_runs([f"mine={model}"]), by_modality=True).rows if row.ours]
    assert [row[1].text for row in rows] == ["95.00", "96.00", "94.00", "96.00"]
    assert rows[2][0].text == "mine (ControlGen, flow), on UniBench-mini"
    with_ends = table1(named_runs([f"mine={model}"]), intervals=True).rows[-1].cells
    assert re.fullmatch(r"0\.\d{3} \(0\.\d{3}-0\.\d{3}\)", with_ends[7].text)


def test_what_is_absent_is_na_with_its_reason(tmp_path):
    run = write_run(tmp_path / "est", depth_records())
    control, unified = [row for row in table1(named_runs([str(run)])).rows if row.ours]
    assert control.cells[0].text.startswith("toy (ControlGen)")
    assert {(cell.text, cell.notes) for cell in control.cells[1:5]} == {
        ("n/a", ("Task cond was not asked in this run.",))
    }
    assert unified.cells[5] == Cell("n/a", ("No segmentation was estimated in this run.",))
    joint = record("joint.x", 1.0, "s", task="joint", suite="unibench-gen")
    run = write_run(tmp_path / "gen", [joint])
    (_, unified) = [row for row in table1(named_runs([str(run)])).rows if row.ours]
    assert unified.cells[1].notes == ("Not computed: this run has no records of suite vbench or vbench-clips.",)
    lost = [one._replace(value=None, flags="absent:static") for one in depth_records(3)]
    run = write_run(tmp_path / "lost", [*lost[:3], *depth_records(3)[3:]])
    (_, unified) = [row for row in table1(named_runs([str(run)])).rows if row.ours]
    assert unified.cells[7].notes == ("2 of 3 clips have a value.",)
    run = write_run(tmp_path / "none", lost)
    (_, unified) = [row for row in table1(named_runs([str(run)])).rows if row.ours]
    assert unified.cells[7] == Cell("n/a", ("No clip has a value of depth.abs_rel.",))


def test_annotators_stand_with_the_depth_and_mask_systems(tmp_path):
    records = [one._replace(suite="annotators", system="depth-motion") for one in depth_records()]
    rows = table1(named_runs([f"ours={write_run(tmp_path / 'a', records)}"])).rows
    (row,) = [row for row in rows if row.ours]
    assert row.cells[0].text == "ours depth-motion, on UniBench-mini" and row.group == "Depth Video Reconstruction"
    assert [bool(cell.text) for cell in row.cells[1:]] == [False] * 6 + [True, True]


@pytest.mark.parametrize(
    ("number", "names"),
    [
        (2, ["mine, depth, on UniBench-mini", "mine, flow, on UniBench-mini"]),
        (3, ["mine ControlGen, on UniBench-mini", "mine JointGen, on UniBench-mini"]),
        (4, ["mine, on UniBench-mini"]),
    ],
)
def test_ablations_have_a_row_for_each_modality_task_or_run(model, number, names):
    table = ablation_table(number, named_runs([f"mine={model}"]))
    ours = [row for row in table.rows if row.ours]
    assert [row.cells[0].text for row in ours] == names
    assert ours[-1].cells[2].text == "96.00"  # background consistency, joint
    assert ours[-1].cells[1] == Cell("n/a", ("This dimension is not in the run's records.",))
    assert set(published(number).notes) <= set(table.notes)


NASTY = Table(
    title="50% of a_b & <c>",
    columns=(Cell("name"), Cell("x|y", ("see #1",))),
    rows=[Row((Cell("<script>\x1b[31m\nA_1 & B"), Cell("1.0", ("see #1", "two"), best=True)), "g{1}")],
    notes=["~ ^ \\ $"],
)


def test_latex_escapes_what_comes_from_data():
    text = to_latex(NASTY)
    assert r"\caption{50\% of a\_b \& \textless{}c\textgreater{}}" in text
    assert r"\textless{}script\textgreater{} [31m A\_1 \& B & \textbf{1.0}\textsuperscript{1,2} \\" in text
    assert r"\textasciitilde{} \textasciicircum{} \textbackslash{} \$" in text and r"\emph{g\{1\}}" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
    written = to_latex(table1())
    assert written.isascii() and written.count("{") == written.count("}") and r"$\downarrow$" in written


def test_markdown_escapes_what_comes_from_data_and_keeps_its_columns():
    text = to_markdown(NASTY)
    assert r"\<script\> \[31m A\_1 \& B | **1.0**<sup>1,2</sup> |" in text and r"x\|y<sup>1</sup>" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in rows} == {3}
    assert "1. see \\#1" in text and "2. two" in text


def test_text_is_aligned_and_cannot_command_a_terminal():
    lines = to_text(NASTY).splitlines()
    assert "\x1b" not in to_text(NASTY) and lines[3].endswith("1.0*[1][2]")
    numbers = [line for line in to_text(ablation_table(2)).splitlines() if re.search(r"\d\d\.\d\d", line)]
    assert len({line.index(".") for line in numbers}) == 1


def test_the_radar_is_valid_svg_outwards_better_and_escaped():
    axes = [Axis("up", True, 1), Axis("AbsRel <x>", False, 3), Axis("third", True, 1)]
    shapes = [
        Shape("good & new", (2.0, 0.1, 5.0), False),
        Shape("bad", (1.0, 0.2, 4.0), True),
        Shape("no", (1.5, None, 4.5), False),
    ]
    drawn = radar(axes, shapes, title="<t>")
    root = ET.fromstring(drawn)
    name = "{http://www.w3.org/2000/svg}"
    good, bad = (
        [tuple(map(float, corner.split(","))) for corner in one.get("points").split()]
        for one in root.iter(name + "polygon")
    )
    for ours, theirs in zip(good, bad, strict=True):  # farther out on every axis, AbsRel too
        assert sum((x - 320) ** 2 for x in ours) > sum((x - 320) ** 2 for x in theirs)
    assert len(list(root.iter(name + "polygon"))) == 2  # the third has a gap
    texts = [one.text for one in root.iter(name + "text")]
    assert "good & new" in texts and "0.200 to 0.100" in texts
    with pytest.raises(ValueError, match="at least 3 axes, got 2"):
        radar(axes[:2], [], title="")
    with pytest.raises(ValueError, match="x has 1 values for 3 axes"):
        radar(axes, [Shape("x", (1.0,), False)], title="")


def test_the_radar_of_table_1_shows_ours(model):
    drawn = table1_radar(table1(named_runs([f"mine={model}"]), intervals=True))
    texts = [one.text for one in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert "mine (Unified), on UniBench-mini" in texts and "UnityVideo (Unified)" in texts and "VACE" not in texts


def test_the_command_prints_each_table_and_writes_the_radar(model, tmp_path):
    app = typer.Typer()
    app.command()(print_table)
    for number in "1234":
        printed = CliRunner().invoke(app, [number, f"mine={model}"])
        assert printed.exit_code == 0 and printed.output.startswith(f"Table {number}. ")
        assert "mine" in printed.output and "protocol is unknown" in printed.output
    done = CliRunner().invoke(app, ["1", str(model), "--radar", str(tmp_path / "r.svg"), "--form", "markdown"])
    assert done.exit_code == 0 and ET.parse(tmp_path / "r.svg").getroot().tag.endswith("svg")
    for arguments, message in (
        (["5"], "There is no table 5; the paper's are 1, 2, 3 and 4."),
        (["2", "--radar", "x.svg"], "--radar is for table 1, and table 2 was asked for."),
        (["1", f"a={model}", f"a={model}"], "Two runs are called a. Give them names"),
        (["1", str(tmp_path)], "has no records.parquet"),
    ):
        failed = CliRunner().invoke(app, arguments)
        assert isinstance(failed.exception, BadInput) and message in str(failed.exception)
