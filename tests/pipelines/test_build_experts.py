"""Experts through `openuni build` and `bench`: tiny networks in the published formats, offline, on a real clip."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from openuni.annotators.weights import file_hash
from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput, MissingWeights
from openuni.pipelines.parts import make_experts, make_filters
from openuni.sample import SampleReader
from tests.annotators import tiny_people
from tests.annotators.tiny_experts import save_depth_anything, save_depth_pro, save_raft
from tests.annotators.tiny_masks import save_grounding_dino, save_sam, save_sam2, save_sam3, save_sam_hf

FAST = ("--preset", "none", "--filters", "duration", "--ray", "off", "--limit", "1")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_depth_anything(folder / "Depth-Anything-V2-Small-hf")
    save_depth_anything(folder / "Depth-Anything-V2-Large-hf", seed=1)
    save_depth_pro(folder / "DepthPro-hf")
    save_raft(folder / "raft")
    save_sam(folder / "sam")
    save_sam_hf(folder / "sam-vit-huge")
    save_sam2(folder / "sam2.1-hiera-large")
    save_grounding_dino(folder / "grounding-dino-tiny")
    save_sam3(folder / "sam3")
    tiny_people.save_yolox(folder / "DWPose")
    tiny_people.save_simcc(folder / "DWPose", "dw-ll_ucoco_384.onnx")
    tiny_people.save_rtdetr(folder / "rtdetr_r50vd_coco_o365")
    tiny_people.save_vitpose(folder / "vitpose-base-simple")
    tiny_people.save_densepose(folder / "DensePose-TorchScript-with-hint-image")
    return folder


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No network, no caches of this machine."""
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError(f"a connection was tried: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("openuni.engine.run.choose_engine", lambda *args, **kwargs: LocalEngine(0))  # in this process
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("OPENUNI_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def good_clip(clips_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    (folder / "good_0.mp4").write_bytes((clips_folder / "good_0.mp4").read_bytes())
    return folder


def build(root, out, *words):
    command = ["build", "--source", "folder", "--root", str(root), "--out", str(out), *FAST, *map(str, words)]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def test_depth_and_flow_experts_annotate_a_real_clip(weights, good_clip, tmp_path):
    experts = ("--experts", "depth-anything-v2-small,raft-small", "--weights", weights, "--set", "flow.updates=2")
    done = build(good_clip, tmp_path / "out", *experts, "--set", "frames.num_frames=5")
    assert done.exit_code == 0, done.output
    assert "depth              1 samples" in done.output and "flow               1 samples" in done.output
    stages = {stage["name"]: stage for stage in annotated(tmp_path / "out")}
    assert stages["depth"]["licence"].startswith("Apache-2.0 (read at https://github.com/DepthAnything/")
    assert stages["flow"]["weights_sha256"] == file_hash(weights / "raft" / "raft_small_C_T_V2-01064c6d.pth")
    assert str(weights) not in json.dumps(stages)

    again = build(good_clip, tmp_path / "out", *experts, "--set", "frames.num_frames=5")
    assert again.exit_code == 0 and fingerprints(tmp_path / "out", "depth") == [stages["depth"]["fingerprint"]]


UNTRAINED = ("min_iou=-9", "min_stability=-9", "points_per_side=3", "min_area=0", "max_area=1", "max_objects=4")
"""Takes what an untrained SAM proposes: no mask would pass SAM's own measures."""


@pytest.mark.parametrize(
    ("expert", "settings"),
    [
        ("sam", UNTRAINED),
        ("sam-hf", UNTRAINED),
        ("grounded-sam2", ("min_area=0", "max_area=1", "concepts=('person',)")),
        ("sam3", ("max_objects=2",)),
    ],
)
def test_mask_experts_annotate_a_real_clip(weights, good_clip, tmp_path, expert, settings):
    words = [word for setting in settings for word in ("--set", f"segmentation.{setting}")]
    words += ["--set", "frames.num_frames=3", "--set", "frames.short_side_px=64"]
    done = build(good_clip, tmp_path / "out", "--experts", expert, "--weights", weights, *words)
    assert done.exit_code == 0, done.output
    assert "segmentation       1 samples" in done.output
    stages = {stage["name"]: stage for stage in annotated(tmp_path / "out")}
    assert stages["segmentation"]["expert"] == expert and len(stages["segmentation"]["weights_sha256"]) == 64
    sample = SampleReader(tmp_path / "out")[0]
    ids = sample.maps["segmentation"]
    assert ids.data.shape == sample.rgb.data.shape[:3] and ids.data.max() >= 1
    if expert in ("grounded-sam2", "sam3"):
        assert "person" in ids.facts["subjects"] and set(ids.facts["labels"]) == {"person"}


@pytest.mark.parametrize(
    ("name", "makes"), [("vitpose-base", "skeleton"), ("dwpose", "skeleton"), ("densepose-r101", "densepose")]
)
def test_experts_for_people_annotate_a_real_clip(weights, good_clip, tmp_path, name, makes):
    done = build(good_clip, tmp_path / "out", "--experts", name, "--weights", weights, "--set", "frames.num_frames=3")
    assert done.exit_code == 0, done.output
    (stage,) = [stage for stage in annotated(tmp_path / "out") if stage["name"] == makes]
    assert stage["expert"] == name and "(read at" in stage["licence"]
    sample = SampleReader(tmp_path / "out", [makes])[0]
    found = sample.maps[makes]
    assert len(found.data) == len(sample.rgb.data) and found.data.any()
    if makes == "skeleton":
        assert found.data.shape[2] == {"vitpose-base": 17, "dwpose": 133}[name]
        assert found.arrays["track_ids"].tolist() == list(range(1, 1 + found.data.shape[1]))


@pytest.mark.slow
def test_the_papers_experts_make_all_five_modalities(weights, good_clip, tmp_path):
    save_raft(weights / "raft", "raft_large_C_T_SKHT_V2-ff5fadd5.pth")
    settings = (*(f"segmentation.{one}" for one in UNTRAINED), "flow.updates=2", "frames.num_frames=3")
    words = [word for setting in settings for word in ("--set", setting)]
    done = build(good_clip, tmp_path / "out", "--experts", "paper", "--weights", weights, *words)
    assert done.exit_code == 0, done.output
    assert set(SampleReader(tmp_path / "out")[0].maps) == {"depth", "flow", "segmentation", "skeleton", "densepose"}


def annotated(out):
    return json.loads((out / "manifest.json").read_text())["passes"]["annotate"]


def fingerprints(out, stage):
    return [path.name for path in (out / "ledger" / stage).iterdir() if path.is_dir()]


def test_other_weights_run_the_stage_again_and_nothing_else(weights, good_clip, tmp_path):
    words = ("--experts", "depth-anything-v2-small,flow-dis", "--set", "frames.num_frames=3")
    assert build(good_clip, tmp_path / "out", *words, "--weights", weights).exit_code == 0
    save_depth_anything(tmp_path / "w" / "Depth-Anything-V2-Small-hf", seed=9)
    assert build(good_clip, tmp_path / "out", *words, "--weights", tmp_path / "w").exit_code == 0
    assert len(fingerprints(tmp_path / "out", "depth")) == 2
    assert len(fingerprints(tmp_path / "out", "flow")) == len(fingerprints(tmp_path / "out", "rgb")) == 1


def test_missing_weights_end_a_build_before_it_writes_anything(good_clip, tmp_path):
    with pytest.raises(MissingWeights, match="Weights of raft-large: raft_large_C_T_SKHT_V2-ff5fadd5.pth not found"):
        build(good_clip, tmp_path / "out", "--experts", "raft-large")
    assert not (tmp_path / "out").exists()


def test_a_wrong_network_ends_a_build_with_one_line(weights, good_clip, tmp_path):
    import shutil

    shutil.copytree(weights / "DepthPro-hf", tmp_path / "w" / "Depth-Anything-V2-Small-hf")
    with pytest.raises(BadInput, match="holds a 'depth_pro' model, not 'depth_anything'"):
        build(good_clip, tmp_path / "out", "--experts", "depth-anything-v2-small", "--weights", tmp_path / "w")


def test_commercial_refuses_what_its_licence_forbids_by_name(weights):
    with pytest.raises(
        BadInput, match="--experts commercial refuses depth-anything-v2-large: its licence is CC-BY-NC-4.0"
    ):
        make_experts(["commercial", "depth-anything-v2-large"], {}, str(weights))
    made = make_experts(["commercial"], {}, str(weights))
    assert [stage.expert for stage in made] == ["depth-anything-v2-small", "flow-dis", "sam", "dwpose"]


def test_all_filters_are_those_that_need_no_weights():
    from openuni.annotators.expert import ExpertStage

    assert not [stage for stage in make_filters(["all"], {}) if isinstance(stage, ExpertStage)]


def test_the_bench_scores_an_expert_by_the_same_command(weights, tmp_path):
    from tests.benchmark.rendered import render_tiny

    rendered = render_tiny(tmp_path / "rendered")
    words = ["bench", "--annotator", "depth=depth-pro", "--data", str(rendered), "--out", str(tmp_path / "out")]
    words += ["--weights", str(weights), "--ray", "off", "--limit", "1"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "depth=depth-pro: 1 of 1 clips scored" in done.output and "depth.abs_rel" in done.output
    rows = pq.read_table(tmp_path / "out" / "records.parquet").to_pylist()
    values = [row["value"] for row in rows if row["metric"] == "depth.abs_rel"]
    assert values and all(np.isfinite(value) for value in values)


def test_published_masks_become_a_builds_segmentation(weights, good_clip, tmp_path):
    from openuni.frames import probe

    info = probe(good_clip / "good_0.mp4")
    height, width = info.height, info.width
    runs = [width // 4 * height, width // 2 * height, (width - width // 4 - width // 2) * height]  # the middle columns
    entry = {
        "metadata": {
            "cut": [0, 9], "crop": [0, width, 0, height], "fps": info.fps, "path": "good_0.mp4",
            "resolution": {"height": height, "width": width},
        },
        "annotation": {
            "mask_map": {"1": {"class_name": "woman"}},
            "mask_annotation": {"0": {"1": {"size": [height, width], "counts": runs, "score": [0.9]}}},
        },
    }  # fmt: skip
    (tmp_path / "seeds.json").write_text(json.dumps({"good_0": entry}))
    words = ("--experts", "opens2v-masks", "--weights", weights, "--windows", "head", "--set", "frames.num_frames=3")
    done = build(good_clip, tmp_path / "out", *words, "--set", f"segmentation.seeds={tmp_path / 'seeds.json'}")
    assert done.exit_code == 0 and "segmentation       1 samples" in done.output, done.output
    ids = SampleReader(tmp_path / "out")[0].maps["segmentation"]
    assert ids.facts == {"labels": ["person"], "subjects": "one person"}
    columns = (ids.data[0] == 1).mean(axis=0)
    assert columns[len(columns) // 2] > 0.9 and columns[0] < 0.1 and columns[-1] < 0.1
    with pytest.raises(BadInput, match="opens2v-masks needs the published masks, got none"):
        build(good_clip, tmp_path / "out", *words)


def test_experts_that_do_not_fit_a_gpu_together_run_one_after_the_other_with_the_same_result(
    weights, good_clip, tmp_path, monkeypatch
):
    from openuni.pipelines import build as module

    words = ("--experts", "raft-small,depth-anything-v2-small,segmentation-motion", "--weights", weights)
    words += ("--set", "flow.updates=2", "--set", "frames.num_frames=5")
    whole = build(good_clip, tmp_path / "whole", *words)
    passes, run = [], module.run

    def watched(job, *args, **options):
        passes.append(job.only)
        return run(job, *args, **options)

    monkeypatch.setattr(module, "run", watched)
    made = module.pack

    def crowded(stages, gpu_gb):
        """As on a GPU of 10 GB: RAFT takes 4, Depth Anything small 3, and here 7 each."""
        for stage in stages:
            if stage.weights_hash:
                stage.needs = stage.needs._replace(gpus=1.0, vram_gb=7.0)
        packs = made(stages, 10.0)
        for stage in stages:
            stage.needs = type(stage).needs
        return packs

    monkeypatch.setattr(module, "pack", crowded)
    parted = build(good_clip, tmp_path / "parted", *words)
    assert whole.exit_code == 0 == parted.exit_code, parted.output
    assert [sorted(one) for one in passes if one] == [
        ["flow", "flow_check", "rgb", "segmentation", "segmentation_check"],
        ["depth", "depth_check"],
    ]
    assert shards(tmp_path / "whole") == shards(tmp_path / "parted")


def shards(out):
    from openuni.engine.atomic import sha256_of

    return {path.relative_to(out).as_posix(): sha256_of(path) for path in sorted(out.glob("shards/**/*.tar"))}


def test_commercial_refuses_sam3_by_name(weights):
    with pytest.raises(BadInput, match="commercial refuses sam3: its licence is unverified: Meta's SAM License"):
        make_experts(["commercial", "sam3"], {}, str(weights))


def test_a_network_that_an_expert_shares_is_missed_by_its_own_name(weights, tmp_path):
    import shutil

    shutil.copytree(weights / "sam", tmp_path / "w" / "sam")
    with pytest.raises(MissingWeights, match=r"Weights of sam2.1-large: config.json, .*--include model.safetensors"):
        make_experts(["sam"], {}, str(tmp_path / "w"))


def test_the_compile_setting_compiles_the_networks_and_changes_no_fingerprint(weights, monkeypatch):
    import torch

    compiled = []
    monkeypatch.setattr(torch, "compile", lambda module, **options: compiled.append(type(module).__name__) or module)
    names = ["depth-anything-v2-small", "raft-small", "sam", "sam-hf"]
    for name in names:
        (plain,) = make_experts([name], {}, str(weights))
        (stage,) = make_experts([name], {plain.name: {"compile": "true", "device": "cpu"}}, str(weights))
        stage.setup()
        assert stage.parameters() == plain.parameters()
    assert compiled == [
        "DepthAnythingForDepthEstimation", "RAFT", "Sam2VisionModel", "ImageEncoderViT", "Sam2VisionModel",
        "SamVisionEncoder",
    ]  # fmt: skip
