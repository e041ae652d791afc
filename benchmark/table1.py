"""Table 1 in one command: which suites and questions the paper's table needs, and the table of a run as files."""

from pathlib import Path
from typing import NamedTuple

from openuni.benchmark.paper_tables import table1, table1_radar
from openuni.benchmark.runs import Named, read_run
from openuni.benchmark.table_form import to_markdown, to_text
from openuni.engine.atomic import write_bytes
from openuni.table import MODALITIES, SUITES

TABLE1 = "table1"
"""What --suite calls it."""
WANTED = ("unibench-est", "unibench-gen", "vbench-clips")
"""Estimation fills four columns, VBench four; the suite of generation tells what controlled clips are worth besides."""
QUESTIONS = (
    ("est", "depth"),
    ("est", "segmentation"),
    *(("cond", name) for name in MODALITIES),
    ("joint", "depth"),
)
"""Row Unified: est of depth and masks, RGB made jointly with depth. Row ControlGen: RGB from each modality."""
TEXT, MARKDOWN, RADAR = "table1.txt", "table1.md", "table1.svg"


class Written(NamedTuple):
    """A run's Table 1."""

    text: str
    files: tuple[Path, ...]


def suites_of_table1() -> tuple[str, ...]:
    """Return the suites of WANTED that there are."""
    return tuple(name for name in WANTED if name in SUITES)


def write_table1(out: Path) -> Written:
    """Write the table of a run beside its records: text, Markdown and a radar; the same run gives the same bytes.

    Raises:
        BadInput: the run's files cannot be read.
    """
    run = read_run(out)
    table = table1([Named(name=run.name, run=run)])
    text = to_text(table)
    contents = {TEXT: text, MARKDOWN: to_markdown(table), RADAR: table1_radar(table)}
    for name, content in contents.items():
        write_bytes(out / name, content.encode(), durable=False)
    return Written(text, tuple(out / name for name in contents))
