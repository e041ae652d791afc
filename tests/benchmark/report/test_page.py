"""The report's page: of an annotator's and a model's run, self-contained, escaped, exact, whole where things lack."""

import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from openuni.benchmark.annotator_bench import AnnotatorBenchConfig, bench_annotators, parse_annotators
from openuni.benchmark.predictions import prediction_folder, write_prediction
from openuni.benchmark.records import read_records
from openuni.benchmark.report.page import write_report
from openuni.benchmark.runs import read_run
from openuni.benchmark.summary import summarise
from openuni.benchmark.synth.files import clip_names, read_truth
from openuni.benchmark.synth.render import maps_of
from openuni.cli.bench_report import report_run
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.generator import Answer, Ask
from openuni.video import decode_rgb
from tests.benchmark.rendered import CLIPS, FRAMES, SIDE_PX, render_tiny
from tests.benchmark.synthetic_runs import depth_records, record, write_run

NASTY = '<script>alert("x")</script>&<b>'


class Page(HTMLParser):
    """Tags, their attributes, and text outside style and script."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.values, self._skip = [], "", [], False
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._skip = tag in ("style", "script")
        if tag == "data":
            self.values.append(dict(attrs)["value"])

    def handle_endtag(self, tag):
        self._skip = False

    def handle_data(self, data):
        self.text += "" if self._skip else data

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("report") / "rendered")


@pytest.fixture(scope="module")
def annotated(rendered, tmp_path_factory):
    pairs = parse_annotators(["depth=depth-motion,flow=flow-dis,flow=truth-flow,depth=truth-depth"])
    out = tmp_path_factory.mktemp("annotated") / "out"
    bench_annotators(
        AnnotatorBenchConfig(annotators=pairs, data=rendered, out=out), LocalEngine(0), breaker=Breaker(), quiet=True
    )
    return out


def test_an_annotator_run_s_page_shows_its_clips_and_says_what_is_absent(annotated):
    page = Page(write_report(read_run(annotated)))
    videos = page.of("video")
    # Input, truth, prediction and error of each of the two clips; depth-motion finds one of them too still.
    scored = {(one.system, one.sample) for one in read_records(annotated / "records.parquet") if one.valid}
    assert len(videos) == 4 * len(scored) == 4 * (4 * CLIPS - 1) and "absent: " in page.text
    first = decode_rgb(base64.b64decode(videos[0]["src"].partition(",")[2])).frames
    assert len(first) in (FRAMES, FRAMES - 1) and max(first.shape[1:3]) == 192
    assert len(page.of("canvas")) == 2 * (2 * CLIPS - 1)
    plys = [path.name for path in (annotated / "pointclouds").iterdir()]
    # Each clip's truth, and each annotator's own.
    assert len(plys) == CLIPS + (2 * CLIPS - 1)
    assert all(f"pointclouds/{name}" in page.text for name in plys) and "Drag to turn" in page.text


def test_two_annotators_of_one_modality_show_each_its_own_maps(annotated):
    from openuni.benchmark.report.answers import Answers

    run = read_run(annotated)
    sample = run.records[0].sample
    own, exact = (Answers(run).read("est", "flow", sample, 0, name) for name in ("flow-dis", "truth-flow"))
    assert not own.problems and not exact.problems
    error = np.abs(exact.map.data - exact.truth.flow)[exact.truth.flow_valid].max()
    assert error <= 1 / 32 + 1e-6 < np.abs(own.map.data - own.truth.flow)[own.truth.flow_valid].max()


def test_the_page_has_every_mean_exactly(annotated):
    values = set(Page(write_report(read_run(annotated), clips=0)).values)
    lines = summarise(read_records(annotated / "records.parquet"))
    assert {str(line.mean) for line in lines if line.mean is not None} <= values


def test_the_page_needs_nothing_else(annotated):
    text = write_report(read_run(annotated)).read_text("utf-8")
    assert "default-src 'none'" in text
    for tag, attrs in Page(annotated / "report.html").tags:
        for name in ("src", "href"):
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, attrs)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    assert "@media (prefers-color-scheme: dark)" in text and "width=device-width" in text


@pytest.fixture
def model(rendered, tmp_path):
    """A model's run: depth and a condition answered for both clips, one answer damaged."""
    names = clip_names(rendered)
    records = []
    for place, sample in enumerate(names):
        map = maps_of(read_truth(rendered / "clips" / sample))["depth"]
        frames = np.full((FRAMES, SIDE_PX, SIDE_PX, 3), 40 * place, np.uint8)
        for task, answer in (("est", Answer(map=map)), ("cond", Answer(rgb=frames))):
            asked = Ask(
                task=task, modality="depth", sample=sample, caption=NASTY, num_frames=FRAMES, height=SIDE_PX,
                width=SIDE_PX, fps=16.0,
            )  # fmt: skip
            folder = prediction_folder(tmp_path / "run", task, "depth", sample, 0)
            write_prediction(folder, asked, answer, key="k", system="it")
        records.append(record("depth.abs_rel", 0.1 + place, sample, flags="constant" if place else ""))
        about = {"task": "cond", "suite": "unibench-gen"}
        records.append(record("depth.abs_rel", 0.2 + place, sample, protocol="control", **about))
        records.append(record("depth.abs_rel", 0.1 - place, sample, protocol="original", **about))  # ranks nothing
    (tmp_path / "run" / "predictions" / "cond-depth" / names[1] / "seed-0" / "rgb.mkv").write_bytes(b"no video")
    return write_run(tmp_path / "run", records, data=str(rendered), system=NASTY)


def test_a_model_run_s_page_shows_conditions_originals_and_what_was_generated(model):
    page = Page(write_report(read_run(model)))
    names = re.findall(r"(input|truth|prediction|error|condition|original|generated)\b(?= |$)", " ".join(
        attrs["aria-label"].partition(" of ")[0] for attrs in page.of("video")
    ))  # fmt: skip
    est, cond = ["input", "truth", "prediction", "error"], ["condition", "original", "generated"]
    assert names == [*est, *est, *cond, *cond[:2]]
    assert "rgb.mkv is not the file that was predicted" in page.text and "flagged constant" in page.text


def test_words_from_data_are_escaped(model, rendered):
    records = [one._replace(system=NASTY, family=NASTY) for one in read_records(model / "records.parquet")]
    write_run(model, records, data=str(rendered), label=NASTY, run={"settings": {NASTY: NASTY}})
    path = write_report(read_run(model))
    page = Page(path)
    assert (
        NASTY in page.text
        and "alert" not in path.read_text("utf-8").replace("&#34;x&#34;", "").partition("<script>")[2]
    )
    assert len(page.of("script")) == 1 and "b" not in {tag for tag, attrs in page.tags if "alert" in str(attrs)}
    assert "<script>alert" not in path.read_text("utf-8")


def test_a_page_without_its_data_has_numbers_tables_and_settings(tmp_path):
    failed = [one._replace(value=None, flags="error:MemoryError") for one in depth_records(14)[36:]]
    run = write_run(tmp_path / "run", [*depth_records(), *failed], data=str(tmp_path / "gone"))
    page = Page(write_report(read_run(run), clips=1))
    assert "input and truth cannot be read" in page.text and "the answer cannot be read" in page.text
    assert "error: MemoryError" in page.text and "Kling1.6" in page.text and "UniBench-mini" in page.text
    assert "data.sha256" in page.text and "d" * 64 in page.text and "run.settings.steps" in page.text


def test_names_that_lead_out_of_the_run_are_not_followed(model):
    from openuni.benchmark.report.answers import Answers

    shown = Answers(read_run(model)).read("est", "depth", "../../..", 0, "toy")
    assert shown.map is None and shown.problems == ("est, depth, ../../..: no names of files",)


def test_the_command_writes_the_page_where_it_is_told(model, tmp_path, rendered):
    app = typer.Typer()
    app.command()(report_run)
    out = tmp_path / "elsewhere" / "page.html"
    done = CliRunner().invoke(
        app, [str(model), "--out", str(out), "--clips", "1", "--data", str(rendered), "--name", "it"]
    )
    assert done.exit_code == 0 and done.output.startswith(f"wrote {out}") and "MB)" in done.output
    assert "it on UniBench-mini" in Page(out).text and (out.parent / "pointclouds").is_dir()
