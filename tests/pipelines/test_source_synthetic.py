"""Source synthetic and experts truth: what is listed, and that a build's maps are the render's truth within storage."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openuni.benchmark.synth import listing
from openuni.benchmark.synth.job import RenderConfig, render_run
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import BadInput
from openuni.pipelines.build import Build, BuildConfig, build
from openuni.pipelines.sources.synthetic import DEFAULT_ROOT, LICENCE, Synthetic
from openuni.sample import SampleReader
from tests.benchmark.rendered import CLIPS, FRAMES, SIDE_PX, render_tiny, truths


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("synthetic") / "rendered")


def run(root, out, *experts, **options):
    config = BuildConfig(
        source="synthetic", root=None if root is None else str(root), out=out, experts=experts, **options
    )
    build(Build.prepare(config), LocalEngine(0), breaker=Breaker(), quiet=True)
    reader = SampleReader(out)
    return {reader[number].facts["source_key"]: reader[number] for number in range(len(reader))}


def test_a_rendered_folder_is_listed_with_caption_family_and_licence(rendered):
    clips = list(Synthetic(root=rendered).clips())
    assert [clip.source_key for clip in clips] == ["objects-0-000000", "one_person-0-000000"]
    for clip in clips:
        about = json.loads((rendered / "clips" / clip.source_key / "clip.json").read_text())
        assert clip.caption == about["caption"] != "" and clip.group == about["family"]
        assert (rendered / clip.path).is_file() and clip.licence == LICENCE and clip.source_video == clip.source_key
    assert Synthetic.default_preset == "none" and len({clip.clip_id for clip in clips}) == CLIPS


def test_an_id_is_of_the_content_and_not_of_the_place(rendered, tmp_path):
    shutil.copytree(rendered, tmp_path / "copy")
    ids = [clip.clip_id for clip in Synthetic(root=rendered).clips()]
    assert [clip.clip_id for clip in Synthetic(root=tmp_path / "copy").clips()] == ids
    about = tmp_path / "copy" / "clips" / "objects-0-000000" / "clip.json"
    about.write_text(about.read_text().replace('"truth_sha256": "', '"truth_sha256": "0'))
    assert [clip.clip_id == one for clip, one in zip(Synthetic(root=tmp_path / "copy").clips(), ids, strict=True)] == [
        False,
        True,
    ]


def test_the_clips_of_a_refraction_pair_are_of_one_video(rendered, tmp_path):
    """They show the same place, so they must not fall into different splits."""
    root = tmp_path / "pairs"
    for number in range(4):
        folder = root / "clips" / f"refraction-0-{number:06d}"
        shutil.copytree(rendered / "clips" / "objects-0-000000", folder)
        about = folder / "clip.json"
        about.write_text(about.read_text().replace('"family": "objects"', '"family": "refraction"'))
    videos = [clip.source_video for clip in Synthetic(root=root).clips()]
    assert videos[0] == videos[1] != videos[2] == videos[3]


def test_what_cannot_be_used_is_counted(rendered, tmp_path):
    root = tmp_path / "broken"
    shutil.copytree(rendered, root)
    names = sorted(path.name for path in (root / "clips").iterdir())
    (root / "clips" / names[0] / "truth.npz").unlink()
    (root / "clips" / names[1] / "clip.json").write_text("{")
    shutil.copytree(rendered / "clips" / names[1], root / "clips" / ".half.tmp-1")
    source = Synthetic(root=root)
    assert list(source.clips()) == [] and source.skipped == {"no_truth": 1, "unreadable_clip_json": 1}


def test_frozen_scenes_are_listed_with_a_warning(rendered, tmp_path):
    shutil.copytree(rendered, tmp_path / "official")
    about = json.loads((tmp_path / "official" / "run.json").read_text())
    about["config"]["official"] = True
    (tmp_path / "official" / "run.json").write_text(json.dumps(about))
    source = Synthetic(root=tmp_path / "official")
    assert len(list(source.clips())) == CLIPS and source.warned == {"frozen_unibench_scene_not_for_training": CLIPS}


@pytest.mark.parametrize(("name", "message"), [("missing", "missing not found. Make one with: openuni unibench render"),
                                               (".", "is no rendered clip and no rendered folder")])  # fmt: skip
def test_a_root_that_is_no_rendered_folder_is_one_clear_line(tmp_path, name, message):
    with pytest.raises(BadInput) as caught:
        Synthetic(root=tmp_path / name).check()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_without_a_root_a_small_set_is_rendered_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = []

    def tiny(config: RenderConfig, engine: LocalEngine) -> None:
        made.append(config)
        render_run(replace(config, clips=1, height=32, width=32, num_frames=2), LocalEngine(0), quiet=True)

    monkeypatch.setattr(listing, "render_run", tiny)
    source = Synthetic()
    source.check()
    assert not DEFAULT_ROOT.exists()  # a dry run renders nothing
    first = [clip.clip_id for clip in source.clips()]
    assert len(first) == 1 and [clip.clip_id for clip in source.clips()] == first
    (config,) = made
    assert (config.clips, config.height, config.num_frames) == (8, 256, 33) and config.out == DEFAULT_ROOT.absolute()


@pytest.fixture(scope="module")
def built(rendered, tmp_path_factory):
    return run(rendered, tmp_path_factory.mktemp("truth") / "out", "truth")


def test_experts_truth_give_the_truth_within_what_storage_promises(built, rendered):
    for name, truth in truths(rendered).items():
        sample = built[name]
        assert sample.rgb.data.shape == (FRAMES, SIDE_PX, SIDE_PX, 3) and not sample.absent
        depth = sample.maps["depth"]
        disparity = 1 / truth.depth.astype(np.float64)
        step = (disparity.max() - disparity.min()) / 8190  # half a step of 12 bits
        assert np.abs(1 / depth.data.astype(np.float64) - disparity).max() <= step * 1.001  # float32 on top
        assert depth.valid.all() and depth.facts["kind"] == "metric_depth"
        flow = sample.maps["flow"]
        assert np.abs(flow.data - truth.flow).max() <= 1 / 32
        assert np.array_equal(flow.valid, truth.flow_valid) and np.array_equal(flow.arrays["occluded"], truth.occluded)
        assert np.array_equal(sample.maps["segmentation"].data, truth.segmentation)
        densepose = sample.maps["densepose"]
        assert np.array_equal(densepose.data, truth.densepose)
        assert np.abs(densepose.arrays["uv"] / 255 - truth.uv).max() <= 0.5 / 255 + 1e-6  # float32
        skeleton = sample.maps["skeleton"]
        seen = truth.keypoints[..., 2] == 2
        assert np.array_equal(skeleton.data[..., :2], truth.keypoints[..., :2])
        assert np.array_equal(skeleton.data[..., 2] == 1, seen)
        assert skeleton.arrays.get("track_ids", np.zeros(0)).tolist() == truth.person_ids.tolist()
    assert {len(truth.person_ids) for truth in truths(rendered).values()} == {0, 1}  # both kinds were compared


def test_a_smaller_build_gets_the_truth_at_its_size(rendered, tmp_path):
    small = run(rendered, tmp_path / "out", "truth", settings={"frames": {"short_side_px": "32"}})
    for name, truth in truths(rendered).items():
        maps = small[name].maps
        assert np.array_equal(maps["segmentation"].data, truth.segmentation[:, 1::2, 1::2])
        assert np.abs(maps["flow"].data - truth.flow[:, 1::2, 1::2] / 2).max() <= 1 / 32
        assert maps["skeleton"].facts["width"] == 32


def test_a_slower_build_has_no_flow_and_says_why(rendered, tmp_path):
    slow = run(rendered, tmp_path / "out", "truth", settings={"frames": {"fps": "8"}})
    for name, truth in truths(rendered).items():
        assert slow[name].absent == {"flow": "frames_left_out"}
        assert np.array_equal(slow[name].maps["segmentation"].data, truth.segmentation[::2])


def test_a_window_of_a_clip_gets_the_truth_of_its_frames(rendered, tmp_path):
    settings = {"frames": {"num_frames": "4"}}
    part = run(rendered, tmp_path / "out", "truth", settings=settings)
    for name, truth in truths(rendered).items():
        maps = part[name].maps
        assert np.array_equal(maps["segmentation"].data, truth.segmentation[1:5])  # the centre
        assert np.array_equal(maps["flow"].valid[:-1], truth.flow_valid[1:4]) and not maps["flow"].valid[-1].any()


def test_truth_is_not_smuggled_in(rendered, tmp_path):
    samples = run(rendered, tmp_path / "out", "flow-dis")
    for name, truth in truths(rendered).items():
        assert set(samples[name].maps) == {"flow"}
        assert np.abs(samples[name].maps["flow"].data - truth.flow).max() > 0.1  # an estimate


def test_the_truth_of_other_videos_is_absent(rendered, tmp_path):
    lone = tmp_path / "videos"
    lone.mkdir()
    source = next((rendered / "clips").iterdir())
    shutil.copy(source / "rgb.mp4", lone / "a.mp4")
    config = BuildConfig(source="folder", root=str(lone), out=tmp_path / "out", experts=("truth",), preset="none")
    build(Build.prepare(config), LocalEngine(0), breaker=Breaker(), quiet=True)
    absent = SampleReader(tmp_path / "out")[0].absent
    assert set(absent.values()) == {"no_truth"} and len(absent) == 5


def test_a_folder_of_the_default_name_is_used_as_it_is(rendered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(rendered, tmp_path / DEFAULT_ROOT)
    samples = run(None, Path("data", "synthetic"), "none")
    assert set(samples) == set(truths(rendered))
