"""The demo's page: what was built, learned, generated and estimated, in pictures and numbers. One file, offline."""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from openuni.engine.atomic import write_bytes
from openuni.table import MODALITIES

if TYPE_CHECKING:
    from openuni.modality import Map
    from openuni.model.pipeline import UnityVideoPipeline
    from openuni.pipelines.build import Built

PAGE = "index.html"
ENLARGED = 4
"""A generated pixel is shown so large."""
GIVEN = ("depth", "segmentation")
"""Maps that RGB is generated from."""
MADE = "depth"
"""Map that is generated together with RGB."""
HEADLINES = {
    "depth": ("depth.abs_rel", "disp-ls", "AbsRel, lower is better"),
    "flow": ("flow.epe", "all", "end-point error, px, lower is better"),
    "densepose": ("densepose.part_iou", "clip", "part IoU, higher is better"),
    "skeleton": ("skeleton.pck10_box", "frame", "PCK@.1, higher is better"),
    "segmentation": ("segmentation.miou", "clip", "mIoU, higher is better"),
}
STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
h1,h2{line-height:1.2}figure{display:inline-block;margin:0 .6rem .8rem 0;vertical-align:top}
img{image-rendering:pixelated;display:block;max-width:100%}figcaption{font-size:.85rem;color:#555;max-width:14rem}
table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #ddd}
.wide img{image-rendering:auto;width:100%}code{background:#f3f3f3;padding:0 .2rem}"""


def write_page(out: Path, built: "Built") -> Path:
    """Generate, estimate, score, and write OUT/index.html.

    Args:
        out: the demo's folder, with build, held-out and ckpt.
        built: what the build of the mp4 files did.
    """
    from openuni.benchmark.synth.files import CLIPS, clip_names, read_clip
    from openuni.model.pipeline import UnityVideoPipeline

    pipeline = UnityVideoPipeline.from_pretrained(str(out / "ckpt"), device="cpu")
    clips = [read_clip(out / "held-out" / CLIPS / name) for name in clip_names(out / "held-out")]
    shown = max(clips, key=lambda clip: (min(1, len(clip.truth.person_ids)), float((clip.truth.densepose > 0).mean())))
    parts = [
        _built(out, built),
        _learned(out / "ckpt"),
        _conditions(pipeline, shown),
        _jointly(pipeline, shown.caption),
        _estimates(pipeline, clips, shown),
    ]
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>openuni demo</title><style>{STYLE}</style><h1>openuni demo</h1>"
        "<p>Everything on this page was made on this machine a moment ago: raw video to a data set, a few training "
        "steps, and one network asked in three directions. The network has 0.7 M parameters and was trained on a CPU; "
        "its pictures are rough, and what counts is that one network does all of it.</p>" + "".join(parts) + "</html>\n"
    )
    path = out / PAGE
    write_bytes(path, text.encode(), durable=False)
    return path


def _built(out: Path, built: "Built") -> str:
    """Panels of the mp4 files' build."""
    panels = sorted((out / "build" / "show").glob("*.png"))
    figures = "".join(
        f"<figure class=wide><img src='{_data(path.read_bytes(), 'png')}' alt=''></figure>" for path in panels[:2]
    )
    return (
        "<h2>1. Build</h2><p>Four mp4 files went through filters and experts that need no weights: optical flow, depth "
        f"where the camera travels, moving things. {built.listed} clips listed; the shards, the index and the "
        f"<a href='build/report.html'>funnel report</a> are in <code>build</code>.</p>{figures}"
    )


def _learned(run: Path) -> str:
    """The loss of the training steps."""
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text("utf-8").splitlines()]
    losses = [line["loss"] for line in lines if line["event"] == "train"]
    tenth = max(1, len(losses) // 10)
    return (
        f"<h2>2. Learn</h2><p>{len(losses)} steps from the shipped model <code>tiny</code> on rendered clips with "
        f"exact truth: mean loss {np.mean(losses[:tenth]):.3f} at the start, {np.mean(losses[-tenth:]):.3f} at the "
        "end. Every step is in <code>ckpt/events.jsonl</code>.</p>"
    )


def _conditions(pipeline: "UnityVideoPipeline", clip: Any) -> str:
    """RGB from maps of a clip never seen."""
    figures = [_figure(clip.rgb, "a clip never seen; its maps are given, not its frames")]
    truth = clip.maps()
    for name in GIVEN:
        made = pipeline("cond", clip.caption, maps={name: truth[name]}, seed=1)
        figures += [_figure(made.maps[name].frames, f"given: {name}"), _figure(made.rgb, f"RGB from {name}")]
    return f"<h2>3. Frames from a map</h2><p>{html.escape(clip.caption)}</p>{''.join(figures)}"


def _jointly(pipeline: "UnityVideoPipeline", caption: str) -> str:
    """RGB and a map from words."""
    made = pipeline("joint", caption, modalities=(MADE,), seed=2)
    pictures = _figure(made.rgb, "RGB") + _figure(made.maps[MADE].frames, MADE)
    return f"<h2>4. Frames and depth from words</h2><p>{html.escape(caption)}</p>{pictures}"


def _estimates(pipeline: "UnityVideoPipeline", clips: Sequence[Any], shown: Any) -> str:
    """All five maps of a clip never seen, and scores over all held-out clips."""
    from dataclasses import replace

    from openuni.model.rendering import Renderings

    sampler, renderings = replace(pipeline.default_sampler(), steps=1), Renderings(pipeline.config.rendering)
    scores: dict[str, list[float]] = {name: [] for name in MODALITIES}
    figures = ""
    for clip in clips:
        made = pipeline("est", modalities=tuple(MODALITIES), rgb=clip.rgb, sampler=sampler, seed=3)
        for name, value in _scores({name: made.maps[name].map for name in MODALITIES}, clip.truth).items():
            scores[name].append(value)
        if clip is shown:
            truth = clip.maps()
            figures = _figure(clip.rgb, "given")
            for name in MODALITIES:
                figures += _figure(renderings.draw(name, truth[name]), f"{name}: exact truth")
                figures += _figure(made.maps[name].frames, f"{name}: estimated")
    rows = "".join(
        f"<tr><td>{name}<td>{np.mean(values):.3f}<td>{HEADLINES[name][2]}" if values else f"<tr><td>{name}<td>n/a<td>"
        for name, values in scores.items()
    )
    return (
        f"<h2>5. All five maps of a clip never seen</h2>{figures}<p>Over {len(clips)} held-out clips, one step each "
        "(docs/tiny.md has more clips, baselines and intervals):</p><table><tr><th>modality<th>score<th>metric"
        f"{rows}</table>"
    )


def _scores(maps: Mapping[str, "Map"], truth: Any) -> dict[str, float]:
    """Each modality's first metric, where it has a value."""
    from openuni.benchmark.judge import judge

    found = {}
    for name, one in maps.items():
        metric, protocol, _ = HEADLINES[name]
        for scored in judge(name, one, truth):
            if (scored.metric, scored.protocol) == (metric, protocol) and scored.value is not None:
                found[name] = scored.value
    return found


def _figure(frames: np.ndarray | None, words: str) -> str:
    """Frames as a moving picture, enlarged pixel by pixel."""
    from PIL import Image

    assert frames is not None, "cond and joint make RGB"

    large = frames.repeat(ENLARGED, axis=1).repeat(ENLARGED, axis=2)
    pictures = [Image.fromarray(frame) for frame in large]
    buffer = io.BytesIO()
    pictures[0].save(buffer, "WEBP", save_all=True, append_images=pictures[1:], duration=250, loop=0, lossless=True)
    source = _data(buffer.getvalue(), "webp")
    return f"<figure><img src='{source}' alt=''><figcaption>{html.escape(words)}</figcaption></figure>"


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
