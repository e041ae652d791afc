"""Every form of --model goes through bench and generate; our own ones are what a training run left."""

import json

import numpy as np
import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner

from openuni.cli import app
from openuni.engine.local import LocalEngine
from openuni.errors import BadInput
from openuni.mapfile import read_map
from openuni.model.config import ModelConfig, write_config
from openuni.model.launch import Settings, train_here
from openuni.model.renderings.config import tiny
from openuni.model.tasks import release_tasks
from openuni.table import SUITES
from openuni.video import decode_rgb
from tests.benchmark.rendered import render_tiny
from tests.model.test_checkpoint import released
from tests.model.tiny import CONFIG
from tests.model.tiny_build import clip, write_build
from tests.model.tiny_pipelines import save_tiny_pipeline
from tests.model.tiny_wan import tiny_vae

OWN = ("run", "export", "checkpoint", "file", "preset")
FORMS = (*OWN, "unityvideo", "diffusers", "preds", "class")
SETTINGS = {"diffusers": {"steps": "1", "short_side_px": "32", "guidance": "1"}, "preds": {}, "class": {}}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    return render_tiny(tmp_path_factory.mktemp("forms") / "rendered")


@pytest.fixture(scope="module")
def forms(tmp_path_factory, rendered):
    """Form -> what --model says."""
    root = tmp_path_factory.mktemp("models")
    build = write_build(root / "build", [clip(k, modalities=("flow", "depth")) for k in range(4)])
    changes = ("steps=2", "batch_size=2", "workers=0", "validate_every=0", "flip=0", "loader.sizes=((12,12),)",
               "loader.max_upscale=9", "save_every=1")  # fmt: skip
    train_here(
        Settings(data=(build,), preset="tiny_cpu", out=str(root / "ckpt"), changes=changes, device="cpu"),
        lambda _: None,
    )
    export = next((root / "ckpt" / "export").glob("2"))
    vae = root / "vae"
    tiny_vae().save_pretrained(vae / "vae")
    weights = root / "release" / "checkpoints"
    weights.mkdir(parents=True)
    tensors = {key: one.contiguous() for key, one in released(2).items()}
    save_file(tensors, weights / "unityvideo_wan22_ti2v_5b_step15000_ema.safetensors")
    (root / "release" / "config.json").write_text(json.dumps({"attention_head_dim": CONFIG["attention_head_dim"]}))
    config = ModelConfig(
        codec="wan", codec_options={"model": str(vae)}, text="hash", text_options={"dim": 32, "max_words": 64},
        rendering=tiny(), tasks=release_tasks(), sampler="tiny", num_frames=5, height=32, width=32,
    )  # fmt: skip
    write_config(root / "release", config)
    answers = root / "answers" / "est-depth"
    answers.mkdir(parents=True)
    for path in sorted((rendered / "clips").iterdir()):
        np.save(answers / f"{path.name}.npy", np.random.default_rng(0).random((6, 64, 64), np.float32))
    return {
        "run": str(root / "ckpt"),
        "export": str(export),
        "checkpoint": str(next((root / "ckpt" / "checkpoints").glob("*2"))),
        "file": str(next((export / "transformer").glob("*.safetensors"))),
        "preset": "preset:tiny_cpu",
        "unityvideo": f"unityvideo:{root / 'release'}",
        "diffusers": f"diffusers:{save_tiny_pipeline('WanVACEPipeline', root / 'vace')}",
        "preds": f"preds:{root / 'answers'}",
        "class": "tests.benchmark.generators:Truth",
    }


def command(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_benched(forms, rendered, tmp_path, monkeypatch, form):
    monkeypatch.setitem(SUITES, "test-generation", "tests.benchmark.generation_suite:Generation")
    monkeypatch.setattr("openuni.engine.run.choose_engine", lambda *_, **__: LocalEngine(0))
    settings = SETTINGS.get(form, {"steps": "1"}) | ({"root": str(rendered)} if form == "class" else {})
    suite = "test-generation" if form == "diffusers" else "unibench-est"
    done = command(
        *("bench", "--model", forms[form], "--suite", suite, "--data", rendered, "--limit", 1),
        *("--out", tmp_path / "out", *(f"--set=model.{key}={value}" for key, value in settings.items())),
    )
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["questions"] and all(one["counts"] == {"ok": 1} for one in told["questions"])
    assert told["model"]["asked"] == forms[form] and told["records"]["rows"] > 0


def test_what_a_run_left_is_the_same_model_under_each_of_its_names(forms):
    from openuni.generator import make_generator

    prints = {form: make_generator(forms[form]).fingerprint() for form in ("run", "export")}
    assert prints["run"] == prints["export"]


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("preds", "class")])
def test_every_form_that_makes_clips_generates(forms, tmp_path, form):
    more = ["--set", "model.short_side_px=32", "--guidance", 1.5] if form == "diffusers" else []
    sizes = ["--num-frames", 5, "--height", 48, "--width", 48]
    done = command(
        *("generate", "--model", forms[form], "--task", "text", "--prompt", "a red ball", "--steps", 1),
        *("--out", tmp_path / "out", *sizes, *more),
    )
    assert done.exit_code == 0, done.output
    assert decode_rgb((tmp_path / "out" / "rgb.mp4").read_bytes()).frames.shape == (5, 48, 48, 3)
    told = json.loads((tmp_path / "out" / "generate.json").read_text())
    assert told["prompt"] == "a red ball" and told["sampler"]["steps"] == 1 and told["seed"] == 0


def test_a_model_behind_a_scheme_estimates_and_generates_from_maps(forms, rendered, tmp_path):
    clip_path = next((rendered / "clips").iterdir()) / "rgb.mp4"
    est = command(
        *("generate", "--model", forms["unityvideo"], "--task", "est", "--modality", "depth", "--rgb", clip_path),
        *("--steps", 1, "--out", tmp_path / "est"),
    )
    assert est.exit_code == 0, est.output
    depth = read_map(tmp_path / "est" / "depth.npz", "depth")
    assert depth.data.shape == (5, 64, 64)
    cond = command(
        *("generate", "--model", forms["diffusers"], "--task", "cond", "--map", f"depth={tmp_path / 'est/depth.npz'}"),
        *("--steps", 1, "--set", "model.short_side_px=32", "--out", tmp_path / "cond"),
    )
    assert cond.exit_code == 0, cond.output
    assert decode_rgb((tmp_path / "cond" / "rgb.mp4").read_bytes()).frames.shape == (5, 64, 64, 3)
    drawn = decode_rgb((tmp_path / "cond" / "depth.mp4").read_bytes()).frames
    assert np.abs(drawn.astype(int) - drawn[..., :1]).max() <= 8  # gray; H.264's chroma moves it a little


@pytest.mark.parametrize(
    ("form", "arguments", "message"),
    [
        ("diffusers", ["--task", "est", "--modality", "depth"], "vace does not answer est depth. It answers cond dep"),
        ("diffusers", ["--task", "cond", "--map", "densepose=x.npz"], "cond densepose: VACE has no control by body"),
        ("diffusers", ["--task", "cond", "--map", "depth=x.mp4"], "--map depth=x.mp4: give a .npz file"),
        ("diffusers", ["--task", "text", "--subject", "one"], "--subject is for our own models"),
        ("diffusers", ["--task", "text", "--sampler", "wan"], "Unknown parameter of model 'sampler'"),
        ("diffusers", ["--task", "joint"], "Task joint takes exactly one --modality with such a model, got 0."),
        ("preds", ["--task", "est", "--modality", "depth", "--rgb", "CLIP"], "answers has no answer: no_prediction."),
        ("preset", ["--task", "text", "--set", "model.steps=1"], "--set is for models with a colon in their name"),
        ("unityvideo", ["--task", "est", "--modality", "depth"], "Task est wants --rgb."),
    ],
)
def test_what_cannot_be_generated_is_one_clear_line(forms, rendered, tmp_path, form, arguments, message):
    clip_path = str(next((rendered / "clips").iterdir()) / "rgb.mp4")
    given = [clip_path if one == "CLIP" else one for one in arguments]
    done = command("generate", "--model", forms[form], "--out", tmp_path / "out", *given)
    assert isinstance(done.exception, BadInput) and message in str(done.exception), done.exception
    assert not (tmp_path / "out").exists()
