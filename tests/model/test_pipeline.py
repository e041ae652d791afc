"""Generation, through the class and the command line: what goes where, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from openuni.cli import app
from openuni.cli.generate import fitted
from openuni.errors import BadInput, OpenUniError
from openuni.mapfile import read_map, write_map
from openuni.modality import Map
from openuni.model.network import UnityVideo
from openuni.model.pipeline import UnityVideoPipeline, find
from openuni.model.sampler import Guidance, SamplerConfig
from openuni.table import MODALITIES
from openuni.video import decode_rgb, encode_rgb_mp4
from tests.model.tiny import wan

TINY = "preset:tiny_cpu"
FAST = SamplerConfig(solver="euler", steps=2)
FRAMES, SIDE = 3, 24


@pytest.fixture(scope="module")
def pipeline():
    return UnityVideoPipeline.from_pretrained(TINY)


def clip(frames=FRAMES, height=SIDE, width=SIDE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def depth_map(frames=FRAMES, side=SIDE):
    ramp = np.linspace(1, 5, side, dtype=np.float32)
    data = np.broadcast_to(ramp, (frames, side, side)).copy()
    return Map(data=data, valid=np.ones(data.shape, bool), facts={"kind": "metric_depth"})


def seen_by(pipeline, monkeypatch):
    """Record the streams of each pass."""
    seen = []
    forward = UnityVideo.forward

    def recorded(self, streams):
        seen.append(list(streams))
        return forward(self, streams)

    monkeypatch.setattr(UnityVideo, "forward", recorded)
    return seen


def test_joint_generates_rgb_and_maps(pipeline, monkeypatch):
    seen = seen_by(pipeline, monkeypatch)
    out = pipeline("joint", "a red ball", modalities=["depth", "skeleton"], sampler=FAST)
    assert out.rgb.shape == (FRAMES, SIDE, SIDE, 3) and out.rgb.dtype == np.uint8
    assert list(out.maps) == ["depth", "skeleton"] and out.maps["depth"].map.data.shape == (FRAMES, SIDE, SIDE)
    assert [len(streams) for streams in seen] == [3, 3]
    assert all(stream.predict and stream.t[0] > 0 for stream in seen[0])


def test_est_keeps_the_frames_clean_and_gives_them_no_caption(pipeline, monkeypatch):
    seen, frames = seen_by(pipeline, monkeypatch), clip()
    out = pipeline("est", "ignored", modalities=["flow"], rgb=frames, sampler=FAST)
    assert np.array_equal(out.rgb, frames) and list(out.maps) == ["flow"]
    rgb, flow = seen[0]
    assert not rgb.predict and not rgb.t.any() and not rgb.text.any() and flow.text.any()
    assert flow.modality.tolist() == [list(MODALITIES).index("flow")]


def test_cond_generates_rgb_from_a_map_that_stays_as_it_was_drawn(pipeline, monkeypatch):
    seen = seen_by(pipeline, monkeypatch)
    out = pipeline("cond", "a wall", maps={"depth": depth_map()}, sampler=FAST)
    rgb, depth = seen[0]
    assert rgb.predict and rgb.text.any() and not depth.predict and not depth.t.any()
    read = out.maps["depth"].map.data[0, 0]
    assert np.corrcoef(read, 1 / np.linspace(1, 5, SIDE))[0, 1] > 0.999  # relative disparity of what was given


def test_text_alone_runs_one_stream(pipeline, monkeypatch):
    seen = seen_by(pipeline, monkeypatch)
    out = pipeline("text", "a red ball", sampler=FAST)
    assert out.rgb is not None and not out.maps and all(len(streams) == 1 for streams in seen)


def test_the_seed_decides_everything(pipeline):
    one, same, other = (pipeline("joint", "x", modalities=["depth"], sampler=FAST, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.rgb, same.rgb) and not np.array_equal(one.rgb, other.rgb)


def test_low_memory_gives_the_same_clip(pipeline):
    low = UnityVideoPipeline.from_pretrained(TINY, memory="low")
    one, other = (each("joint", "x", modalities=["depth"], sampler=FAST) for each in (pipeline, low))
    assert np.array_equal(one.rgb, other.rgb)
    assert low._text is None


def test_maps_that_were_not_trained_side_by_side_are_estimated_in_turn(pipeline, monkeypatch):
    trained = replace(pipeline, config=replace(pipeline.config, num_maps=1))
    seen = seen_by(trained, monkeypatch)
    rgb = np.random.default_rng(0).integers(0, 256, (FRAMES, SIDE, SIDE, 3), np.uint8)
    both = trained("est", modalities=["depth", "flow"], rgb=rgb, sampler=FAST, modality_prompts={"flow": "motion"})
    assert {len(streams) for streams in seen} == {2}  # RGB and one map
    alone = trained("est", modalities=["flow"], rgb=rgb, sampler=FAST, modality_prompts={"flow": "motion"})
    assert list(both.maps) == ["depth", "flow"] and both.facts["modality_prompts"]["flow"] == "motion"
    assert np.array_equal(both.maps["flow"].frames, alone.maps["flow"].frames)


def test_modality_prompts_and_subjects_reach_the_maps_stream(pipeline, monkeypatch):
    seen = seen_by(pipeline, monkeypatch)
    pipeline("joint", "x", modalities=["segmentation"], sampler=FAST, subject="two dogs")
    pipeline("joint", "x", modalities=["segmentation"], sampler=FAST, modality_prompts={"segmentation": "dogs only"})
    texts = [streams[1].text for streams in seen[::2]]
    assert not torch.equal(texts[0], texts[1])
    words = pipeline.text.encode(["dogs only"])
    assert torch.equal(texts[1], words)


def test_clips_longer_than_the_models_are_sampled_in_windows(pipeline, monkeypatch):
    seen = seen_by(pipeline, monkeypatch)
    out = pipeline("joint", "x", modalities=["depth"], num_frames=9, sampler=FAST)
    assert len(out.rgb) == 9
    assert {streams[0].latent.shape[2] for streams in seen} == {FRAMES}
    assert out.facts["sampler"]["window"] == FRAMES


def test_a_saved_pipeline_comes_back(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "export/30")
    (tmp_path / "export/9").mkdir()
    again = UnityVideoPipeline.from_pretrained(tmp_path)
    assert "export/30" in again.said and again.config == pipeline.config
    one, other = (each("text", "x", sampler=FAST) for each in (pipeline, again))
    assert np.array_equal(one.rgb, other.rgb)


def test_wan_weights_say_that_their_modality_layers_are_untrained(tmp_path):
    wan().save_pretrained(tmp_path / "transformer")
    found = find(tmp_path)
    assert not found.trained and "modality layers are untrained" in found.said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "control"}, "Unknown task 'control'"),
        ({"task": "joint"}, r"Task joint lacks something: .* \(--modality\)"),
        ({"task": "est", "modalities": ["depth"]}, r"Task est lacks something: .* \(--rgb FILE\)"),
        ({"task": "cond"}, r"Task cond lacks something: .* \(--map MODALITY=FILE\)"),
        ({"task": "joint", "modalities": ["depth"], "rgb": clip()}, "Task joint takes no rgb"),
        ({"task": "text", "modalities": ["depth"]}, "Task text takes no rgb, maps or modalities"),
        ({"task": "joint", "modalities": ["normals"]}, "has no head for 'normals'; it has depth, flow"),
        ({"task": "joint", "modalities": ["depth", "depth"]}, "depth is asked for twice"),
        ({"task": "text", "height": 32}, "height must be a multiple of 3, got 32: use 30 or 33"),
        ({"task": "text", "num_frames": 0}, "num_frames must be at least 1, got 0"),
        ({"task": "est", "modalities": ["depth"], "rgb": clip(), "width": 64}, "was asked for"),
        (
            {"task": "cond", "maps": {"depth": depth_map(), "flow": clip(frames) if (frames := 2) else None}},
            r"The clips given differ: depth \(3, 24, 24\), flow \(2, 24, 24\)",
        ),
        ({"task": "text", "prompt": "word " * 65}, "a prompt may have 64 words, got 65"),
        (
            {
                "task": "text",
                "sampler": SamplerConfig(steps=1, guidance=Guidance(inner=0.5)),
                "tasks": {"drop_condition": 0},
            },
            "Guidance on inner needs",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_one_clear_line(pipeline, arguments, message):
    arguments = dict(arguments)
    tasks = arguments.pop("tasks", None)
    used = (
        replace(pipeline, config=replace(pipeline.config, tasks=replace(pipeline.config.tasks, **tasks)))
        if tasks
        else pipeline
    )
    with pytest.raises(OpenUniError, match=message) as caught:
        used(arguments.pop("task"), **arguments)
    assert "\n" not in str(caught.value)


def run(*arguments):
    return CliRunner().invoke(app, ["generate", "--model", TINY, "--steps", "2", *map(str, arguments)])


def test_command_estimates_then_generates_from_what_it_estimated(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(encode_rgb_mp4(np.repeat(clip(9, 48, 80), 2, axis=0), fps=16))
    result = run("--task", "est", "--modality", "depth", "--rgb", tmp_path / "clip.mp4", "--out", tmp_path / "est")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "est").iterdir()}
    assert written == {"rgb.mp4", "depth.mp4", "depth.npz", "panel.png", "generate.json"}
    facts = json.loads((tmp_path / "est/generate.json").read_text())
    assert (facts["num_frames"], facts["height"], facts["width"]) == (3, 24, 39)  # 80 / 48 of 24, down to the grid
    assert facts["trained"] is False and facts["task"] == "est" and facts["sampler"]["steps"] == 2
    assert "untrained" in result.stderr
    for name, width in (("depth.npz", 38), ("depth.mp4", 36)):  # H.264 wants even sides, the grid of 3 px its multiples
        out = tmp_path / f"cond-{name}"
        result = run("--task", "cond", "--map", f"depth={tmp_path / 'est' / name}", "--prompt", "x", "--out", out)
        assert result.exit_code == 0, result.output
        assert decode_rgb((out / "rgb.mp4").read_bytes()).frames.shape == (3, 24, width, 3)


def test_command_never_overwrites_unasked(tmp_path):
    arguments = ["--task", "text", "--out", tmp_path / "clip"]
    assert run(*arguments).exit_code == 0
    before = (tmp_path / "clip/generate.json").read_bytes()
    refused = CliRunner().invoke(app, ["generate", "--model", TINY, *map(str, arguments)])
    assert isinstance(refused.exception, BadInput) and "holds a generated clip" in str(refused.exception)
    assert (tmp_path / "clip/generate.json").read_bytes() == before
    assert run(*arguments, "--overwrite").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "cond", "--map", "depth"], "--map 'depth' is not understood; write MODALITY=VALUE"),
        (["--task", "cond", "--map", "depth=nothing.npz"], "file not found"),
        (["--task", "cond", "--map", "deth=x.npz"], "Did you mean 'depth'"),
        (["--task", "est", "--modality", "depth", "--rgb", "nothing.mp4"], "nothing.mp4"),
        (["--task", "text", "--sampler", "ddim"], "Unknown sampler 'ddim'"),
        (["--task", "text", "--dtype", "int4"], "--dtype must be float32 or bfloat16, got 'int4'"),
        (["--task", "text", "--guidance-modality", "2", "--device", "cuda:9"], "torch finds no GPU"),
    ],
)
def test_command_names_what_is_wrong(tmp_path, arguments, message):
    if "no GPU" in message and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = run(*arguments, "--out", tmp_path / "out")
    assert isinstance(result.exception, BadInput) and message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_clips_are_scaled_to_cover_and_cut_from_the_middle():
    frames = np.zeros((1, 40, 100, 3), np.uint8)
    frames[:, :, 45:55] = 255
    whole = fitted(frames, height=None, width=None, short_side_px=20, grid=(4, 8))
    assert whole.shape == (1, 20, 48, 3)  # 50 down to 8 x 6
    square = fitted(frames, height=20, width=20, short_side_px=0, grid=(4, 4))
    assert square.shape == (1, 20, 20, 3) and square[0, 10, 10, 0] == 255 and square[0, 10, 2, 0] == 0
    assert fitted(frames[:, :8, :8], height=16, width=32, short_side_px=0, grid=(1, 1)).shape == (1, 16, 32, 3)


def test_map_files_come_back_and_refuse_pickles_and_other_modalities(tmp_path):
    write_map(tmp_path / "depth.npz", "depth", depth_map())
    read = read_map(tmp_path / "depth.npz", "depth")
    assert np.array_equal(read.data, depth_map().data) and read.facts == {"kind": "metric_depth"} and read.valid.all()
    with pytest.raises(BadInput, match="holds depth, not flow"):
        read_map(tmp_path / "depth.npz", "flow")
    np.savez(tmp_path / "evil.npz", data=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="is not a map file"):
        read_map(tmp_path / "evil.npz", "depth")
    (tmp_path / "torn.npz").write_bytes((tmp_path / "depth.npz").read_bytes()[:300])
    with pytest.raises(BadInput, match=r"torn.npz is (damaged|not a map file)"):
        read_map(tmp_path / "torn.npz", "depth")
