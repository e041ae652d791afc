"""Beside: a model's estimates on held-out clips beside what it must beat and what it cannot.

Four kinds of bench on the same clips: the best constant and the frames themselves (openuni/benchmark/baselines.py), the
model at some numbers of sampling steps, and the truth drawn and read back. Gains are paired by clip.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from openuni.benchmark.compare import Difference, compare
from openuni.benchmark.model_bench import ModelBenchConfig, bench_model
from openuni.benchmark.predictions import DRAWN, prediction_folder
from openuni.benchmark.runs import BenchRun, read_run
from openuni.benchmark.suites.unibench_est import UniBenchEst
from openuni.benchmark.synth.files import find_clip, read_clip
from openuni.benchmark.table_form import Cell, Row, Table
from openuni.engine.atomic import write_bytes
from openuni.engine.monitor import Breaker
from openuni.engine.run import Engine
from openuni.resize import resized_frames
from openuni.table import METRICS, MODALITIES, RENDERINGS, load
from openuni.video import decode_rgb

MEASURED = (
    ("depth.abs_rel", "disp-ls"),
    ("flow.epe", "all"),
    ("flow.epe", "fg"),
    ("flow.epe", "bg"),
    ("densepose.part_iou", "clip"),
    ("skeleton.pck10_box", "frame"),
    ("segmentation.miou", "clip"),
    ("segmentation.apart", "things"),
)
"""(metric, protocol), one row each."""
BASELINES = ("constant", "copy")
CEILING = "ceiling"
RESULT = "beside.json"
PICTURE = "beside.png"
SHOWN_CLIPS = 6
ENLARGED = 3
"""A pixel of the picture's tiles is drawn so large, px."""


@dataclass(frozen=True, kw_only=True)
class BesideConfig:
    """What is put beside what."""

    model: str
    data: Path
    """Rendered folder of clips that were not trained on."""
    build: Path
    """The training build, which the constant is tuned on."""
    out: Path
    steps: tuple[int, ...] = (1, 4)
    """Sampling steps that the model is asked with, 0: as it is set; the first is what the picture shows."""
    limit: int | None = 64
    rendering: str = "tiny"
    """The model's, a name of RENDERINGS: for the frames read as drawings, and the ceiling."""


class Measured(NamedTuple):
    """One metric of the model beside the others."""

    metric: str
    protocol: str
    higher_is_better: bool
    constant: float
    copy: float
    ceiling: float
    model: dict[int, float]
    """Sampling steps -> mean over clips."""
    gains: dict[int, dict[str, tuple[float, float, float]]]
    """Steps -> baseline -> (gain, low, high): how much better the model is, mean over clips and its 95 % interval."""
    clips: int


def beside(config: BesideConfig, engine: Engine, *, quiet: bool = False) -> list[Measured]:
    """Run the benches, compare, write beside.json and beside.png into config.out.

    Raises:
        BadInput: as `bench_model`.
    """
    runs = {name: _bench(config, engine, name, quiet) for name in (*BASELINES, CEILING)}
    models = {steps: _bench(config, engine, f"model-{steps}", quiet) for steps in config.steps}
    found = _measured(runs, models)
    write_bytes(config.out / RESULT, _json(config, found), durable=False)
    write_bytes(config.out / PICTURE, picture(config), durable=False)
    return found


def _bench(config: BesideConfig, engine: Engine, name: str, quiet: bool) -> BenchRun:
    """One system's bench, in a folder of its name."""
    kind, _, steps = name.partition("-")
    model, settings = {
        "constant": (f"constant:{config.build}", {}),
        "copy": (f"copy:{config.rendering}", {}),
        CEILING: (f"ceiling:{config.data}", {"rendering": config.rendering}),
        "model": (config.model, {"steps": steps} if steps != "0" else {}),
    }[kind]
    made = ModelBenchConfig(
        model=model, data=config.data, out=config.out / name, suites=(UniBenchEst.name,), limit=config.limit,
        settings=settings,
    )  # fmt: skip
    bench_model(made, engine, breaker=Breaker(), quiet=quiet)
    return read_run(made.out)


def _measured(runs: dict[str, BenchRun], models: dict[int, BenchRun]) -> list[Measured]:
    """Every metric of MEASURED that the model has a value of."""
    gains: dict[tuple[str, str], dict[int, dict[str, Difference]]] = {}
    for steps, run in models.items():
        for baseline in BASELINES:
            for one in compare(run, runs[baseline], primary=MEASURED).differences:
                gains.setdefault((one.metric, one.protocol), {}).setdefault(steps, {})[baseline] = one
    made = []
    for key in MEASURED:
        if key not in gains:
            continue
        higher = bool(load("metric", METRICS, key[0]).higher_is_better)
        by_steps = gains[key]
        first = next(iter(by_steps.values()))
        made.append(
            Measured(
                *key,
                higher,
                constant=first["constant"].mean_b if "constant" in first else math.nan,
                copy=first["copy"].mean_b if "copy" in first else math.nan,
                ceiling=_mean(runs[CEILING], key),
                model={steps: _mean(models[steps], key) for steps in by_steps},
                gains={steps: {name: _gain(one, higher) for name, one in by.items()} for steps, by in by_steps.items()},
                clips=max(one.samples for one in first.values()),
            )
        )
    return made


def _gain(one: Difference, higher: bool) -> tuple[float, float, float]:
    """(gain, low, high), positive where the model is better."""
    sign = 1 if higher else -1
    low, high = (math.nan if end is None else sign * end for end in (one.low, one.high))
    return sign * one.difference, min(low, high), max(low, high)


def _mean(run: BenchRun, key: tuple[str, str]) -> float:
    values = [one.value for one in run.records if (one.metric, one.protocol) == key and one.value is not None]
    return float(np.mean(values)) if values else math.nan


def beside_table(found: Sequence[Measured]) -> Table:
    """Rows are metrics; each model column with the smaller lower bound of its two gains."""
    steps = list(found[0].model) if found else []
    columns = ["", "constant", "copy-RGB", *(f"model, {n} step{'s' if n > 1 else ''}" for n in steps), "ceiling"]
    columns += [f"least gain, {n}" for n in steps]
    rows = []
    for one in found:
        cells = [f"{one.metric} ({one.protocol})", f"{one.constant:.3f}", f"{one.copy:.3f}"]
        cells += [f"{one.model[n]:.3f}" for n in steps] + [f"{one.ceiling:.3f}"]
        for n in steps:
            least = min(one.gains[n].values(), key=lambda gain: gain[1])
            cells.append(f"{least[0]:+.3f} [{least[1]:+.3f}, {least[2]:+.3f}]")
        rows.append(Row(tuple(Cell(text) for text in cells), ours=True))
    return Table(
        title="Estimates on held-out clips",
        columns=tuple(Cell(text) for text in columns),
        rows=rows,
        notes=[
            f"{max((one.clips for one in found), default=0)} clips; means over clips. Least gain: over the baseline "
            "that the model beats by less, with the 95 % interval over clips; above 0 it beats both.",
            "constant: best maps without looking, tuned on the training clips. copy-RGB: the frames read as drawings. "
            "ceiling: the truth drawn and read back.",
        ],
    )


def _json(config: BesideConfig, found: Sequence[Measured]) -> bytes:
    rows = [{**one._asdict(), "gains": {str(steps): gains for steps, gains in one.gains.items()}} for one in found]
    about: dict[str, Any] = {"model": config.model, "data": config.data.name, "limit": config.limit, "metrics": rows}
    return (json.dumps(about, indent=1) + "\n").encode()


def picture(config: BesideConfig, clips: int = SHOWN_CLIPS) -> bytes:
    """A PNG: for each clip a middle frame, then truth and estimate of each modality."""
    import io

    from PIL import Image

    renderings: Any = load("rendering", RENDERINGS, config.rendering)
    folder = config.out / f"model-{config.steps[0]}"
    names = sorted(path.parent.parent.name for path in folder.glob("predictions/est-depth/*/*/about.json"))
    rows = []
    for name in names[:: max(1, len(names) // clips)][:clips]:
        clip = read_clip(find_clip(config.data, name))
        middle = len(clip.rgb) // 2
        tiles, truth = [clip.rgb[middle]], clip.maps()
        for modality in MODALITIES:
            tiles.append(renderings.draw(modality, truth[modality])[middle])
            path = prediction_folder(folder, "est", modality, name, 0) / DRAWN
            drawn = decode_rgb(path.read_bytes()).frames if path.is_file() else None
            shape = tiles[0].shape[:2]
            tiles.append(
                np.zeros_like(tiles[0])
                if drawn is None
                else resized_frames(drawn[middle : middle + 1], height=shape[0], width=shape[1])[0]
            )
        rows.append(np.concatenate(tiles, axis=1))
    whole = np.concatenate(rows, axis=0)
    large = whole.repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "PNG")
    return buffer.getvalue()
