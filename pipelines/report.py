"""Report: report.html, the funnel as one page that needs nothing else: no script, no font, no network.

Every number stands in a <data> element whose data-key names what it counts and whose value is exact. All words that
come from data are escaped by the template engine.
"""

import base64
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from openuni.clip import Clip
from openuni.engine.atomic import write_bytes
from openuni.pipelines.decision import Decision
from openuni.pipelines.funnel import Funnel
from openuni.pipelines.histogram import Histogram
from openuni.pipelines.manifest import Passes
from openuni.pipelines.pictures import PER_SIDE, Margin, Picture, draw
from openuni.pipelines.pictures import margins as margins_of
from openuni.pipelines.select import Selection
from openuni.run import versions

REPORT = "report.html"
SAMPLES = 2 * PER_SIDE
CHART_WIDTH, CHART_HEIGHT = 480, 96


def write_report(
    passes: Passes, decision: Decision, funnel: Funnel, selection: Selection, *, base: Path | None
) -> Path:
    """Write report.html and return its path.

    Args:
        passes: the live stages.
        decision: the rules in force.
        funnel: its numbers.
        selection: what the rules say of each clip, for the pictures.
        base: folder that clips' paths start from; None leaves the pictures out.
    """
    path = passes.score.out / REPORT
    html = render(
        funnel,
        decision=decision,
        name=passes.score.out.name,
        margins=margins_of(passes.score, selection, base) if base else (),
        samples=draw(passes.score, list(_samples(passes)), base) if base else (),
    )
    write_bytes(path, html.encode(), durable=False)
    return path


def render(
    funnel: Funnel,
    *,
    decision: Decision,
    name: str,
    margins: tuple[Margin, ...] = (),
    samples: tuple[Picture, ...] = (),
) -> str:
    """Return the page.

    Args:
        funnel: its numbers.
        decision: the rules in force.
        name: of the build's folder.
        margins: pictures around each rule's line.
        samples: some of the clips that are kept.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"count": lambda value: f"{value:,}", "hours": lambda value: f"{value:,.2f}"}
    environment.filters |= {"short": _short, "data_uri": _data_uri}
    environment.tests["histogram"] = lambda value: isinstance(value, Histogram)
    environment.globals |= {"bars": _bars, "CHART_WIDTH": CHART_WIDTH, "CHART_HEIGHT": CHART_HEIGHT}
    return environment.get_template("report.html").render(
        funnel=funnel,
        decision=decision,
        name=name,
        margins=margins,
        samples=samples,
        version=versions()["openuni"],
        date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    )


def _template(name: str) -> str:
    return files("openuni.pipelines").joinpath("templates", name).read_text(encoding="utf-8")


def _samples(passes: Passes) -> Iterator[Clip]:
    """Yield clips of the index; its order is a hash's, so the first ones are a fair sample."""
    import pyarrow.parquet as pq

    from openuni.sample import INDEX

    keys = next(pq.ParquetFile(passes.score.out / INDEX).iter_batches(SAMPLES, columns=["key"]), None)
    wanted = set(keys["key"].to_pylist()) if keys is not None else set()
    for unit in passes.annotate.committed():
        if not wanted:
            return
        for clip in passes.annotate.plan.read(unit).clips:
            if clip.clip_id in wanted:
                wanted.remove(clip.clip_id)
                yield clip


def _short(value: float | None) -> str:
    """Write a score in at most four digits."""
    return "missing" if value is None else f"{value:.4g}"


def _data_uri(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _bars(histogram: Histogram) -> dict[str, Any]:
    """Lay a histogram out: rectangles of kept and dropped clips on top of each other, and the rules' lines."""
    edges, highest = histogram.edges, max(k + d for k, d in zip(histogram.kept, histogram.dropped, strict=True))
    width = CHART_WIDTH / (len(edges) - 1)
    bars = []
    for number, (kept, dropped) in enumerate(zip(histogram.kept, histogram.dropped, strict=True)):
        tall = [CHART_HEIGHT * clips / max(highest, 1) for clips in (kept, dropped)]
        label = f"{_short(edges[number])} to {_short(edges[number + 1])}: {kept:,} kept, {dropped:,} dropped"
        bars.append(
            {"x": round(number * width, 2), "kept": round(tall[0], 2), "dropped": round(tall[1], 2), "label": label}
        )
    span = edges[-1] - edges[0]
    lines = [
        {"x": round(CHART_WIDTH * (line.value - edges[0]) / span, 2), "rule": line.rule, "value": line.value}
        for line in histogram.lines
    ]
    return {"bars": bars, "width": round(max(width - 1, 0.5), 2), "lines": lines}
