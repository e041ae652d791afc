"""Our models as generators: sizes fit, answers have the clip's size, what decides them is hashed, benches are equal."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from openuni.benchmark.model_bench import ModelBenchConfig, bench_model
from openuni.benchmark.predictions import check_answer, read_prediction
from openuni.engine.local import LocalEngine
from openuni.engine.monitor import Breaker
from openuni.errors import BadInput, MissingWeights, UnknownName
from openuni.generator import Ask, make_generator
from openuni.modality import Map
from openuni.model.config import ModelConfig, write_config
from openuni.model.generator import OwnModel, ReleasedModel
from openuni.model.pipeline import UnityVideoPipeline
from openuni.model.renderings.config import tiny
from openuni.model.tasks import TaskConfig, release_tasks
from openuni.table import MODALITIES
from tests.benchmark.rendered import CLIPS, render_tiny
from tests.model.test_checkpoint import released
from tests.model.tiny import CONFIG, trained, unity

TINY = "preset:tiny_cpu"
T, H, W = 5, 40, 68
FAST = {"steps": "1"}


@pytest.fixture(scope="module")
def model():
    made = make_generator(TINY, {"steps": "1"})
    made.setup()
    return made


def ask(task, name, **changes):
    wanted = {"task": task, "modality": name, "sample": "a", "caption": "a ball rolls", "fps": 16.0, "seed": 7}
    return Ask(**{**wanted, "num_frames": T, "height": H, "width": W, **changes})


def frames(seed=0, shape=(T, H, W, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def segmentation(shape=(T, H, W)):
    data = np.zeros(shape, np.uint8)
    data[:, 10:30, 20:50] = 1
    return Map(data=data)


@pytest.mark.parametrize("name", MODALITIES)
def test_estimates_have_the_clips_size_and_say_the_size_they_were_made_at(model, name):
    asked = ask("est", name, rgb=frames())
    answer = model(asked)
    check_answer(answer, asked)
    # The short side of 24 px is the model's, 24 x 68 / 40 = 40.8 is nearest to 42 of its grid of 3.
    assert answer.about["predicted"] == {"num_frames": T, "height": 24, "width": 42}
    assert answer.rendering.shape == (T, 24, 42, 3)
    assert answer.about["sampler"]["steps"] == 1 and answer.about["seed"] == 7
    json.dumps(answer.about)


@pytest.mark.parametrize(("task", "name"), [("cond", "segmentation"), ("joint", "depth"), ("text", "rgb")])
def test_other_tasks_answer_at_the_size_that_was_asked(model, task, name):
    asked = ask(task, name, map=segmentation() if task == "cond" else None)
    answer = model(asked)
    check_answer(answer, asked)
    assert answer.rgb.shape == (T, H, W, 3) and (answer.map is None) == (task != "joint")


def test_the_same_question_has_the_same_answer_and_another_seed_another(model):
    first, again = model(ask("text", "rgb")), model(ask("text", "rgb"))
    np.testing.assert_array_equal(first.rgb, again.rgb)
    assert (model(ask("text", "rgb", seed=8)).rgb != first.rgb).any()


def test_an_estimate_at_the_models_own_size_is_what_the_pipeline_gives(model):
    rgb = frames(shape=(3, 24, 24, 3))
    answer = model(ask("est", "flow", rgb=rgb, num_frames=3, height=24, width=24))
    pipeline = UnityVideoPipeline.from_pretrained(TINY)
    result = pipeline("est", "a ball rolls", modalities=["flow"], rgb=rgb, sampler=model._chosen_sampler(), seed=7)
    np.testing.assert_array_equal(answer.rendering, result.maps["flow"].frames)
    np.testing.assert_array_equal(answer.map.data, result.maps["flow"].map.data)


def test_metrics_that_the_drawing_cannot_carry_are_named(model):
    assert "skeleton.oks" in model(ask("est", "skeleton", rgb=frames())).lacks
    assert model(ask("est", "depth", rgb=frames())).lacks == {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder with two exports of a tiny network."""
    root = tmp_path_factory.mktemp("ckpt")
    for step in (3, 12):
        export = root / "export" / str(step)
        export.mkdir(parents=True)
        network = trained(unity(modalities=("depth", "flow"), in_channels=12, out_channels=12), seed=step)
        config = ModelConfig(
            codec="patch", codec_options={"size": 2}, text="hash", text_options={"dim": 32, "max_words": 64},
            rendering=tiny(), sampler="tiny", num_frames=5, height=16, width=24,
            tasks=TaskConfig(tasks={"est": 1.0, "joint": 1.0}, modalities={"flow": 0.0}),
        )  # fmt: skip
        network.save_pretrained(export / "transformer")
        write_config(export, config)
    return root


def test_a_run_folder_answers_by_its_newest_export_what_it_was_trained_for(folder):
    model = OwnModel(str(folder))
    assert model.name == f"{folder.name}-12" and model.size()[:3] == (5, 16, 24)
    assert model.capabilities() == (("est", "depth"), ("joint", "depth"), ("text", "rgb"))
    assert OwnModel(str(folder / "export" / "12")).fingerprint() == model.fingerprint()
    assert str(folder) not in json.dumps(model.describe())


def test_the_fingerprint_goes_by_weights_and_settings_and_not_by_where_it_runs(folder):
    prints = {
        OwnModel(str(folder / "export" / "3")).fingerprint(),
        OwnModel(str(folder)).fingerprint(),
        OwnModel(str(folder), steps=3).fingerprint(),
        OwnModel(str(folder), guidance=2.0).fingerprint(),
        OwnModel(str(folder), dtype="bfloat16").fingerprint(),
        OwnModel(TINY).fingerprint(),
    }
    assert len(prints) == 6
    assert OwnModel(str(folder), memory="low", device="cpu").fingerprint() in prints


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The released layout with tiny weights, and an openuni.json for their tiny codec."""
    root = tmp_path_factory.mktemp("release")
    (root / "checkpoints").mkdir()
    for name, seed in (("unityvideo_step15000", 1), ("unityvideo_step15000_ema", 2)):
        save_file(
            {key: one.contiguous() for key, one in released(seed).items()}, root / "checkpoints" / f"{name}.safetensors"
        )
    (root / "config.json").write_text(json.dumps({"attention_head_dim": CONFIG["attention_head_dim"]}))
    return root


def test_the_released_layout_takes_the_averaged_weights_and_the_released_settings(release):
    model = make_generator(f"unityvideo:{release}")
    assert isinstance(model, ReleasedModel) and model.size() == (33, 256, 256, 16.0)
    assert set(model.describe()["files"]) == {"unityvideo_step15000_ema.safetensors", "config.json"}
    assert model.capabilities()[-1] == ("text", "rgb") and ("est", "skeleton") in model.capabilities()
    assert model._config.sampler == "release" and model._config.tasks == release_tasks()
    found = model._find(torch.float32)
    assert found.network.arguments.num_attention_heads == 4 and found.trained


def test_the_released_layout_refuses_other_weights_and_says_what_is_missing(folder, tmp_path):
    with pytest.raises(MissingWeights, match="checkpoints/.*safetensors there. Give the folder of the released"):
        make_generator(f"unityvideo:{tmp_path}").fingerprint()
    wrong = make_generator(f"unityvideo:{folder / 'export' / '12' / 'transformer'}")
    with pytest.raises(BadInput, match="holds other weights than the released UnityVideo's"):
        wrong.setup()


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("preset:tiny_cp", {}, "Unknown model preset 'tiny_cp'. Did you mean 'tiny_cpu'?"),
        (TINY, {"sampler": "tinny"}, "Unknown sampler 'tinny'. Did you mean 'tiny'?"),
        (TINY, {"steps": "0"}, "--set model.steps=0: give at least 1."),
        (TINY, {"stepps": "2"}, "Unknown parameter of model 'stepps'. Did you mean 'steps'?"),
        ("unityvideo:", {}, "--model names nothing behind its colon: give ReleasedModel's source."),
    ],
)
def test_a_mistake_is_one_clear_line(text, settings, message):
    with pytest.raises((BadInput, UnknownName)) as caught:
        make_generator(text, settings).fingerprint()
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_a_bench_of_a_tiny_model_does_not_depend_on_workers(folder, tmp_path):
    rendered = render_tiny(tmp_path / "rendered")

    def run(out, workers):
        suites = ("unibench-est",)
        config = ModelBenchConfig(model=str(folder), data=rendered, out=out, suites=suites, settings=FAST)
        return bench_model(config, LocalEngine(workers), breaker=Breaker(), quiet=True)

    one, two = run(tmp_path / "one", 0), run(tmp_path / "two", 2)
    assert one.statuses == {("unibench-est", "est", "depth"): {"ok": CLIPS}}
    assert one.records == two.records and one.records
    for path in sorted((tmp_path / "one").glob("predictions/*/*/*")):
        assert (
            read_prediction(path).about == read_prediction(tmp_path / "two" / path.relative_to(tmp_path / "one")).about
        )
