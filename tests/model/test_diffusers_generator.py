"""diffusers: pipelines of Wan, Wan VACE and HunyuanVideo, saved in the published layout, answer and are benched."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from openuni.benchmark.predictions import check_answer, read_prediction
from openuni.cli import app
from openuni.codec.flow import wheel_colours
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput, MissingWeights, UnknownName
from openuni.generator import Ask, make_generator
from openuni.modality import Map
from openuni.model.diffusers_pipeline import load_pipeline, read_index
from openuni.model.vace_control import CONTROLS, UNKNOWN, draw_control
from openuni.model.working_size import working_size
from openuni.table import MODALITIES, SUITES
from tests.benchmark.rendered import CLIPS, render_tiny
from tests.model.tiny_pipelines import KINDS, save_tiny_pipeline

T, H, W = 6, 40, 68
TINY = {"steps": "1", "short_side_px": "32", "guidance": "1"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    root = tmp_path_factory.mktemp("pipelines")
    return {kind: save_tiny_pipeline(kind, root / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def models(saved):
    made = {kind: make_generator(f"diffusers:{saved[kind]}", TINY) for kind in KINDS}
    for one in made.values():
        one.setup()
    return made


def ask(task="text", name="rgb", **changes):
    wanted = {"task": task, "modality": name, "sample": "a", "caption": "a red ball rolls", "fps": 16.0, "seed": 7}
    return Ask(**{**wanted, "num_frames": T, "height": H, "width": W, **changes})


def depth_map(shape=(T, H, W)):
    data = np.linspace(1, 9, np.prod(shape), dtype=np.float32).reshape(shape)
    data[:, :, :8] = np.inf
    return Map(data=data, valid=np.ones(shape, bool), facts={"kind": "metric_depth"})


def flow_map(shape=(T, H, W)):
    data = np.zeros((*shape, 2), np.float32)
    data[..., 0] = np.arange(1, shape[0] + 1)[:, None, None]
    data[:, 0, 0] = 0
    valid = np.ones(shape, bool)
    valid[-1] = False
    return Map(data=data, valid=valid)


def skeleton_map(shape=(T, H, W)):
    data = np.zeros((shape[0], 1, 17, 3), np.float32)
    data[..., 0], data[..., 1], data[..., 2] = np.linspace(5, 60, 17), np.linspace(5, 35, 17), 1
    return Map(data=data, facts={"height": shape[1], "width": shape[2]})


MAPS = {"depth": depth_map, "flow": flow_map, "skeleton": skeleton_map}


@pytest.mark.parametrize("kind", KINDS)
def test_rgb_from_text_has_the_size_asked_for_and_says_how_it_was_made(models, kind):
    asked = ask()
    answer = models[kind](asked)
    check_answer(answer, asked)
    # 4 n + 1 frames; the short side is 32 px, 32 x 68 / 40 = 54.4 is nearest to 48 of multiples of 16.
    assert answer.about["predicted"] == {"num_frames": 9, "height": 32, "width": 48}
    told = answer.about["sampler"]
    assert (told["steps"], told["guidance"], told["dtype"]) == (1, 1.0, "float32")
    assert told["shift"] == (7.0 if kind == "HunyuanVideoPipeline" else 3.0)
    assert answer.about["pipeline"] == kind and answer.about["seed"] == 7
    json.dumps(answer.about)


@pytest.mark.parametrize("kind", KINDS)
def test_frames_at_the_grid_are_what_the_pipeline_of_diffusers_gives(models, saved, kind):
    import diffusers

    answer = models[kind](ask(num_frames=5, height=32, width=32))
    pipeline = diffusers.DiffusionPipeline.from_pretrained(saved[kind])
    pipeline.set_progress_bar_config(disable=True)
    if kind == "HunyuanVideoPipeline":
        pipeline.vae.enable_tiling()
    frames = pipeline(
        "a red ball rolls", num_frames=5, height=32, width=32, num_inference_steps=1, guidance_scale=1.0,
        generator=torch.Generator().manual_seed(7), output_type="pil",
    ).frames[0]  # fmt: skip
    np.testing.assert_array_equal(answer.rgb, np.stack([np.asarray(frame) for frame in frames]))


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_and_the_caption_decide_the_answer(models, kind):
    first = models[kind](ask())
    np.testing.assert_array_equal(models[kind](ask()).rgb, first.rgb)
    assert (models[kind](ask(seed=8)).rgb != first.rgb).any()
    assert (models[kind](ask(caption="the blue cube walks")).rgb != first.rgb).any()


@pytest.mark.parametrize("name", CONTROLS)
def test_vace_answers_from_its_control_video(models, name):
    asked = ask("cond", name, map=MAPS[name]())
    answer = models["WanVACEPipeline"](asked)
    check_answer(answer, asked)
    assert answer.rendering.shape == (9, 32, 48, 3)
    turned = MAPS[name]()
    turned.data[:] = {"depth": turned.data[::-1], "flow": -turned.data, "skeleton": 2 * H - turned.data}[name]
    other = models["WanVACEPipeline"](replace(asked, map=turned))
    assert (other.rgb != answer.rgb).any() and (models["WanVACEPipeline"](ask()).rgb != answer.rgb).any()


def test_the_depth_control_is_gray_near_is_white_over_each_frames_own_range():
    data = np.array([[[1.0, 2.0, np.inf]], [[4.0, 2.0, 4.0]]], np.float32)
    drawn = draw_control("depth", Map(data=data, valid=np.ones(data.shape, bool), facts={"kind": "metric_depth"}))
    assert (drawn.frames == drawn.frames[..., :1]).all()
    # Disparities 1, 1/2, 0 and 1/4, 1/2, 1/4.
    np.testing.assert_array_equal(drawn.frames[..., 0], [[[255, 128, 0]], [[0, 255, 0]]])


def test_the_flow_control_is_normalised_by_frame_and_stands_one_frame_later():
    frames = draw_control("flow", flow_map()).frames
    right, still = wheel_colours(np.array([1.0, 0.0])), wheel_colours(np.zeros(2))
    np.testing.assert_array_equal(frames[:, 1:], np.broadcast_to(right, frames[:, 1:].shape))
    np.testing.assert_array_equal(frames[:, 0, 0], np.broadcast_to(still, (T, 3)))
    np.testing.assert_array_equal(frames[0], frames[1])


def test_questions_without_a_control_are_named_with_the_reason(models):
    vace = models["WanVACEPipeline"]
    asked = [name for task, name in vace.capabilities() if task == "cond"]
    assert sorted((*asked, *UNKNOWN)) == sorted(MODALITIES)
    assert set(vace.unanswered()) == {("cond", name) for name in UNKNOWN}
    assert models["WanPipeline"].capabilities() == (("text", "rgb"),)


def test_more_frames_are_made_where_that_is_set_and_the_first_are_taken(saved):
    model = make_generator(f"diffusers:{saved['WanPipeline']}", {**TINY, "num_frames": "12"})
    model.setup()
    answer = model(ask())
    assert answer.about["predicted"]["num_frames"] == 13 and len(answer.rgb) == T
    assert model.size() == (12, 32, 48, 16.0)


def test_settings_of_the_sampler_reach_the_pipeline_and_the_records(saved):
    settings = {**TINY, "shift": "5", "guidance": "4", "negative_prompt": "blue", "tiling": "true"}
    model = make_generator(f"diffusers:{saved['WanPipeline']}", settings)
    model.setup()
    told = model(ask()).about["sampler"]
    assert (told["shift"], told["negative_prompt"], told["tiling"]) == (5.0, "blue", True)
    assert model._pipeline.scheduler.config.flow_shift == 5.0
    other = make_generator(f"diffusers:{saved['WanPipeline']}", {**settings, "negative_prompt": "red"})
    assert other.fingerprint() != model.fingerprint()


def test_the_fingerprint_goes_by_files_and_settings_and_not_by_place(saved, tmp_path):
    shutil.copytree(saved["WanPipeline"], tmp_path / "moved")
    first = make_generator(f"diffusers:{saved['WanPipeline']}", TINY)
    moved = make_generator(f"diffusers:{tmp_path / 'moved'}", {**TINY, "memory": "low"})
    assert moved.fingerprint() == first.fingerprint() and moved.name == "moved"
    assert str(tmp_path) not in json.dumps(moved.describe())
    path = tmp_path / "moved" / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace('"flow_shift": 3.0', '"flow_shift": 4.0'))
    assert make_generator(f"diffusers:{tmp_path / 'moved'}", TINY).fingerprint() != first.fingerprint()


def test_a_hub_id_is_found_in_the_cache_when_offline(saved, tmp_path, monkeypatch):
    import huggingface_hub.constants as constants

    cache, revision = tmp_path / "models--ORG--tiny-wan", "0" * 40
    shutil.copytree(saved["WanPipeline"], cache / "snapshots" / revision)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text(revision)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = make_generator("diffusers:ORG/tiny-wan", TINY)
    assert model.name == "tiny-wan" and model.capabilities() == (("text", "rgb"),)
    assert model.fingerprint() == make_generator(f"diffusers:{saved['WanPipeline']}", TINY).fingerprint()
    with pytest.raises(MissingWeights, match="hf download ORG/other --local-dir FOLDER") as caught:
        make_generator("diffusers:ORG/other").fingerprint()
    assert "\n" not in str(caught.value)


def broken(saved, folder, kind="WanPipeline"):
    return shutil.copytree(saved[kind], folder)


def index_with(folder, **changes):
    path = folder / "model_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_cannot_be_loaded_is_one_clear_line(saved, tmp_path):
    def said(name, change, error=BadInput, kind="WanPipeline"):
        folder = broken(saved, tmp_path / name, kind)
        change(folder)
        model = make_generator(f"diffusers:{folder}", TINY)
        with pytest.raises(error) as caught:
            model.fingerprint()
            model.setup()
        assert "\n" not in str(caught.value)
        return str(caught.value)

    unknown = said("unknown", lambda folder: index_with(folder, _class_name="FluxPipeline"))
    assert "is a FluxPipeline; known are WanPipeline, WanVACEPipeline, HunyuanVideoPipeline." in unknown
    foreign = said("foreign", lambda folder: index_with(folder, vae=["os", "system"]))
    assert "vae is os.system; parts must be of diffusers or transformers" in foreign
    outside = said("outside", lambda folder: index_with(folder, **{"../vae": ["diffusers", "AutoencoderKLWan"]}))
    assert "../vae is diffusers.AutoencoderKLWan" in outside
    absent = said("absent", lambda folder: shutil.rmtree(folder / "text_encoder"), MissingWeights)
    assert "has no text_encoder/config.json, text_encoder/*.safetensors. Give a folder" in absent
    other = said("other", lambda folder: index_with(folder, transformer=["diffusers", "NoSuchNetwork"]))
    assert "transformer is a NoSuchNetwork, which diffusers here does not have" in other
    assert "is no index of a pipeline" in said("text", lambda folder: (folder / "model_index.json").write_text("{"))
    cut = said("cut", lambda folder: cut_file(next((folder / "transformer").glob("*.safetensors"))))
    assert "transformer cannot be loaded" in cut
    fewer = said("fewer", lambda folder: drop_tensor(next((folder / "transformer").glob("*.safetensors"))))
    assert "lacks blocks.0.attn1.to_q.weight: it is for another network" in fewer


def cut_file(path):
    path.write_bytes(path.read_bytes()[:-200])


def drop_tensor(path):
    tensors = load_file(path)
    del tensors["blocks.0.attn1.to_q.weight"]
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("WanPipeline", {"control_strength": "0.5"}, "--set model.control_strength: a WanPipeline takes none."),
        ("HunyuanVideoPipeline", {"negative_prompt": "x"}, "--set model.negative_prompt: a HunyuanVideoPipeline takes"),
        ("WanPipeline", {"guidance_2": "3"}, "--set model.guidance_2: diffusers:"),
        ("WanPipeline", {"steps": "0"}, "--set model.steps=0: give at least 1."),
        ("WanPipeline", {"dtype": "float8"}, "Unknown dtype 'float8'."),
        ("WanPipeline", {"device": "gpu"}, "device must be auto, cpu, cuda or cuda:N, got 'gpu'."),
    ],
)
def test_a_setting_that_has_no_effect_is_refused(saved, kind, settings, message):
    with pytest.raises((BadInput, UnknownName)) as caught:
        make_generator(f"diffusers:{saved[kind]}", settings).fingerprint()
    assert str(caught.value).startswith(message)


def test_an_empty_folder_says_which_command_fills_it(tmp_path):
    with pytest.raises(MissingWeights) as caught:
        make_generator(f"diffusers:{tmp_path}").fingerprint()
    expected = "no model_index.json. Give a pipeline's folder in diffusers' layout; to fill one: hf download Wan-AI/"
    assert expected in str(caught.value)


def test_numbers_that_are_none_are_an_error_and_not_black_frames(models, monkeypatch):
    def nothing(**_):
        return type("Made", (), {"frames": np.full((1, 9, 32, 48, 3), np.nan, np.float32)})

    model = make_generator(models["WanPipeline"].source and f"diffusers:{models['WanPipeline'].source}", TINY)
    model._pipeline = type("Pipe", (), {"__call__": lambda self, **given: nothing(**given)})()
    real = models["WanPipeline"]._pipeline
    for name in ("transformer", "vae", "scheduler", "vae_scale_factor_spatial", "vae_scale_factor_temporal"):
        setattr(model._pipeline, name, getattr(real, name))
    with pytest.raises(ValueError, match="numbers that are NaN or infinite: try --set model.dtype=float32"):
        model(ask())


def test_the_working_size_keeps_the_aspect_on_the_grid():
    wanted = ask(num_frames=16, height=720, width=1280)
    assert working_size(wanted, short_side_px=480, grid=(16, 16), stride=4) == (17, 480, 848)
    assert working_size(replace(wanted, num_frames=17), short_side_px=480, grid=(32, 32), stride=4) == (17, 480, 864)
    assert working_size(replace(wanted, height=9, width=16), short_side_px=8, grid=(16, 16), stride=4) == (17, 16, 16)


def test_wan_2_2_5b_is_told_by_its_index(saved, tmp_path):
    folder = broken(saved, tmp_path / "ti2v")
    index_with(folder, expand_timesteps=True)
    assert make_generator(f"diffusers:{folder}").size() == (121, 704, 1280, 24.0)
    assert make_generator(f"diffusers:{saved['HunyuanVideoPipeline']}").size() == (129, 720, 1280, 24.0)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("bench") / "rendered")


def test_the_bench_command_scores_a_pipeline_and_says_what_it_cannot_be_asked(saved, rendered, tmp_path, monkeypatch):
    monkeypatch.setitem(SUITES, "test-generation", "tests.benchmark.generation_suite:Generation")
    monkeypatch.setattr("openuni.engine.run.choose_engine", lambda *_, **__: LocalEngine(0))
    options = ["bench", "--model", f"diffusers:{saved['WanVACEPipeline']}", "--data", str(rendered), "--out"]
    options += [str(tmp_path / "out"), *(f"--set=model.{name}={value}" for name, value in TINY.items())]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.exception
    for name in CONTROLS:
        assert f"rendered, test-generation: cond {name}: {CLIPS} of {CLIPS} scored" in done.output
    assert f"test-generation: text rgb: {CLIPS} of {CLIPS} scored" in done.output
    assert "test-generation: cond densepose: n/a: VACE has no control by body parts" in done.output
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    mine = [one["modality"] for one in told["not_asked"] if one["suite"] == "test-generation"]
    assert mine == ["densepose", "segmentation"]
    assert told["model"]["pipeline"] == "WanVACEPipeline" and told["model"]["settings"]["steps"] == 1
    assert "transformer/diffusion_pytorch_model.safetensors" in told["model"]["files"]
    for folder in sorted((tmp_path / "out" / "predictions" / "cond-depth").glob("*/seed-0")):
        about = read_prediction(folder).about["about"]
        assert about["sampler"]["steps"] == 1 and about["predicted"] == {"num_frames": 9, "height": 32, "width": 32}
    before = (tmp_path / "out" / "results.json").read_bytes()
    assert CliRunner().invoke(app, options).exit_code == 0
    assert (tmp_path / "out" / "results.json").read_bytes() == before


@pytest.mark.parametrize(("kind", "width"), [("WanPipeline", 48), ("HunyuanVideoPipeline", 64)])
def test_the_bench_command_scores_clips_made_from_prompts(saved, tmp_path, monkeypatch, kind, width):
    monkeypatch.setattr("openuni.engine.run.choose_engine", lambda *_, **__: LocalEngine(0))
    settings = {**TINY, "num_frames": "5"}
    options = ["bench", "--model", f"diffusers:{saved[kind]}", "--suite", "plain", "--limit", "2", "--samples", "1"]
    options += ["--out", str(tmp_path / "out"), *(f"--set=model.{name}={value}" for name, value in settings.items())]
    done = CliRunner().invoke(app, options)
    assert done.exit_code == 0, done.exception
    assert "plain: text rgb: 2 of 2 scored" in done.output
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["model"]["pipeline"] == kind and told["questions"][0]["counts"] == {"ok": 2}
    about = read_prediction(next((tmp_path / "out" / "predictions" / "text-rgb").glob("*/seed-0"))).about
    assert (about["num_frames"], about["height"], about["width"]) == (5, 32, width)


def test_a_pipeline_is_loaded_with_its_codec_in_float32_beside_bfloat16(saved):
    index = read_index(str(saved["WanPipeline"]))
    pipeline = load_pipeline(index, dtype=torch.bfloat16)
    assert pipeline.vae.dtype == torch.float32 and pipeline.text_encoder.dtype == torch.bfloat16
    assert pipeline.transformer.patch_embedding.weight.dtype == torch.bfloat16
