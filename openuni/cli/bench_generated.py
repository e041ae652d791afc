"""What `openuni bench` prints of generated clips: each number with its shuffled control and the original clip's."""

from collections import Counter
from typing import TYPE_CHECKING

import typer

from openuni.cli.bench import about_metric, number_text, print_table

if TYPE_CHECKING:
    from openuni.benchmark.records import Record


def print_generated(records: "list[Record]") -> None:
    """Print the means of one question, and why numbers are missing."""
    from openuni.benchmark.headline import BESIDE
    from openuni.benchmark.summary import summarise

    lines = {(line.metric, line.protocol): line for line in summarise(records)}
    rows = [["metric", "of", "clips", "mean", "95 % interval", "shuffled", "original", "unit", "better"]]
    for (metric, protocol), line in lines.items():
        if protocol not in BESIDE or not line.clips:
            continue
        others = [lines.get((metric, one)) for one in BESIDE[protocol]]
        ends = f"{number_text(line.low)} .. {number_text(line.high)}" if line.low is not None else "-"
        beside = ["" if one is None else number_text(one.mean) for one in others]
        rows.append([metric, protocol, str(line.clips), number_text(line.mean), ends, *beside, *about_metric(metric)])
    if len(rows) > 1:
        print_table(rows)
    _print_missing(records, BESIDE)


def _print_missing(records: "list[Record]", shown: "dict[str, tuple[str, str]]") -> None:
    """One line for each reason, with its metrics."""
    missing: dict[str, Counter[str]] = {}
    for one in records:
        if one.value is None and one.protocol in shown:
            missing.setdefault(one.flags.replace("_", " "), Counter())[f"{one.metric} {one.protocol}"] += 1
    for reason, counts in missing.items():
        names = ", ".join(f"{name} ({count})" for name, count in counts.items())
        typer.echo(f"  n/a: {names}: {reason or 'no reason given'}")
