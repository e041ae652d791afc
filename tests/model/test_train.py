"""Training: bitwise resume, ranks that agree, what is drawn and logged, and what stops a run."""

import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from openuni.cli import app
from openuni.errors import BadInput, OpenUniError, RunFailed, UnknownName
from openuni.model import train_state
from openuni.model.ablations import ABLATIONS
from openuni.model.launch import Settings, prepared, train_here
from openuni.model.optim import Average, optimisers, set_rate
from openuni.model.pipeline import UnityVideoPipeline, find
from openuni.model.sampler import SamplerConfig
from openuni.model.train import foreground, loader_of
from openuni.model.train_config import PAPER_STAGES, StageOfTraining, TrainConfig, changed
from tests.model.tiny import unity
from tests.model.tiny_build import clip, write_build

FAST = (
    *("batch_size=4", "workers=0", "validate_every=0", "flip=0", "loader.sizes=((12,12),)", "loader.max_upscale=9"),
    *("optimiser=adamw", "learning_rate=1.5e-3", "foreground_weight=1"),
)
GOLDEN = Path(__file__).parents[1] / "golden/tiny_loss.txt"


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "build"
    clips = [clip(k, group=("single_human", "folder")[k % 2], modalities=("flow", "depth")) for k in range(8)]
    clips += [clip(20 + k, modalities=("flow", "depth"), split="validation") for k in range(4)]
    return write_build(folder, clips)


def settings(build, out, *changes, **others):
    return Settings(data=(build,), preset="tiny_cpu", out=str(out), changes=(*FAST, *changes), device="cpu", **others)


def run(build, out, *changes, **others):
    said = []
    train_here(settings(build, out, *changes, **others), said.append)
    return said


def events(out, kind="train"):
    return [one for one in map(json.loads, (out / "events.jsonl").read_text().splitlines()) if one["event"] == kind]


def test_ten_steps_and_ten_resumed_are_twenty_to_the_last_digit(build, tmp_path):
    run(build, tmp_path / "whole", "steps=20")
    run(build, tmp_path / "parts", "steps=20", "stop_after=10")
    assert train_state.newest(tmp_path / "parts").name == "10"
    run(build, tmp_path / "parts", "steps=20", resume=True)
    whole, parts = ([one["loss"] for one in events(tmp_path / name)] for name in ("whole", "parts"))
    assert len(whole) == 20 and whole == parts
    one, other = (find(tmp_path / name).network.state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_losses_of_twenty_steps_are_those_of_the_golden_file(build, tmp_path):
    """A change that should not alter numbers does not change this file. Write it anew: OPENUNI_GOLDEN=1."""
    run(build, tmp_path / "run", "steps=20")
    losses = [one["loss"] for one in events(tmp_path / "run")]
    if os.environ.get("OPENUNI_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text("".join(f"{loss:.8f}\n" for loss in losses))
    assert losses == pytest.approx([float(line) for line in GOLDEN.read_text().split()], rel=1e-4)


@pytest.mark.parametrize("shared", ["replicas=1", "replicas=2", "optimiser=muon"])
def test_two_ranks_see_what_one_sees_and_lose_what_it_loses(build, tmp_path, shared):
    run(build, tmp_path / "one", "steps=4", shared.replace("replicas=2", "replicas=1"))
    script = (
        "import sys, torch.distributed as dist; from openuni.model.launch import Settings, train_here; "
        "dist.init_process_group('gloo', init_method='file://' + sys.argv[2], rank=int(sys.argv[1]), world_size=2); "
        f"train_here(Settings(data=({build!r},), preset='tiny_cpu', out=sys.argv[3], "
        f"changes={(*FAST, 'steps=4', shared)!r}, device='cpu'), print)"
    )
    arguments = [str(tmp_path / "store"), str(tmp_path / "two")]
    ranks = [subprocess.Popen([sys.executable, "-c", script, str(rank), *arguments]) for rank in range(2)]
    assert [rank.wait(timeout=240) for rank in ranks] == [0, 0]
    one, two = (events(tmp_path / name) for name in ("one", "two"))
    assert [each["loss"] for each in two] == pytest.approx([each["loss"] for each in one], rel=1e-5)
    # What two ranks saved, one goes on with.
    run(build, tmp_path / "two", "steps=6", shared.replace("replicas=2", "replicas=1"), resume=True)
    assert [each["step"] for each in events(tmp_path / "two")] == [1, 2, 3, 4, 5, 6]


def test_loss_falls(build, tmp_path):
    run(build, tmp_path / "run", "steps=60", "warmup=5", "schedule=constant")
    losses = [one["loss"] for one in events(tmp_path / "run")]
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])


def test_bfloat16_trains_near_float32(build, tmp_path):
    run(build, tmp_path / "half", "steps=3", "dtype=bfloat16")
    run(build, tmp_path / "full", "steps=3")
    half, full = ([one["loss"] for one in events(tmp_path / name)] for name in ("half", "full"))
    assert half == pytest.approx(full, rel=0.05) and half != full


def test_micro_batches_sum_to_the_batch(build, tmp_path):
    run(build, tmp_path / "parts", "steps=3", "micro_batch=1")
    run(build, tmp_path / "whole", "steps=3")
    parts, whole = ([one["loss"] for one in events(tmp_path / name)] for name in ("parts", "whole"))
    assert parts == pytest.approx(whole, rel=1e-5)


def test_export_is_the_average_and_generates(build, tmp_path):
    run(build, tmp_path / "run", "steps=3")
    pipeline = UnityVideoPipeline.from_pretrained(tmp_path / "run")
    assert "export/3" in pipeline.said and pipeline.trained
    out = pipeline("joint", "x", modalities=["depth"], sampler=SamplerConfig(solver="euler", steps=1))
    assert out.rgb.shape == (3, 24, 24, 3)
    assert (tmp_path / "run/export/3/README.md").read_text().startswith("---")


def test_validation_reads_held_out_clips_and_changes_nothing(build, tmp_path):
    run(build, tmp_path / "with", "steps=4", "validate_every=2")
    run(build, tmp_path / "without", "steps=4")
    held = events(tmp_path / "with", "validation")
    assert [one["step"] for one in held] == [2, 4]
    assert all(math.isfinite(value) for one in held for value in one["parts"].values())
    assert {"cond", "est", "joint"} & set(held[0]["parts"])
    one, other = ([each["loss"] for each in events(tmp_path / name)] for name in ("with", "without"))
    assert one == other


def test_log_has_loss_by_task_modality_and_time(build, tmp_path):
    run(build, tmp_path / "run", "steps=24")
    names = {name for one in events(tmp_path / "run") for name in one["parts"]}
    assert {"est", "joint", "joint/flow", "joint/depth"} <= names and any("/t3" in name for name in names)


def test_stages_switch_as_configured_and_read_their_own_clips(build, tmp_path):
    ready = prepared(settings(build, tmp_path / "run", "steps=4"))
    stages = (
        StageOfTraining(name="first", share=0.5, modalities=("flow",), groups=("single_human",)),
        StageOfTraining(name="second", share=0.5),
    )
    changed_run = replace(ready.run, train=replace(ready.run.train, stages=stages))
    assert changed_run.train.stage_ends() == [2, 4]
    assert [changed_run.train.stage_at(step)[1].name for step in range(4)] == ["first", "first", "second", "second"]
    assert loader_of(changed_run, 0).groups == ("single_human",) and loader_of(changed_run, 0).modalities == ("flow",)
    from openuni.model.launch import _Log, _network
    from openuni.model.train import Place, Trainer
    from openuni.run import RunFolder

    with RunFolder(tmp_path / "run", "train") as folder:
        log = _Log(changed_run.train, folder, lambda _: None)
        Trainer(changed_run, _network(ready), Place(0, 1, torch.device("cpu")), log).train()
    assert [(one["step"], one["stage"], one["clips"]) for one in events(tmp_path / "run", "stage")] == [
        (0, "first", 4),
        (2, "second", 8),
    ]
    first = [name for one in events(tmp_path / "run")[:2] for name in one["parts"]]
    assert not any("depth" in name for name in first)


def test_paper_stages_are_the_papers():
    config = TrainConfig(steps=56_000, stages=PAPER_STAGES)
    assert config.stage_ends() == [16_000, 56_000]
    assert (config.batch_size, config.learning_rate) == (32, 5e-5)


def test_rgb_alone_trains_one_stream(build, tmp_path):
    run(build, tmp_path / "run", "steps=2", "num_maps=0")
    assert {name for one in events(tmp_path / "run") for name in one["parts"] if "/" not in name} == {"text"}


def test_two_map_streams_train_side_by_side(build, tmp_path):
    run(build, tmp_path / "run", "steps=2", "num_maps=2")
    assert all(math.isfinite(one["loss"]) for one in events(tmp_path / "run"))


@pytest.mark.parametrize("change", ["network.switcher=false", "network.in_context=false", "network.head=shared"])
def test_ablations_train_and_export(build, tmp_path, change):
    run(build, tmp_path / "run", "steps=1", change)
    name, value = change.removeprefix("network.").split("=")
    assert str(find(tmp_path / "run").network.config[name]).lower() == value


def test_new_parameters_learn_faster_and_tables_do_not_decay():
    (optimiser,) = optimisers(unity(token_bias=True), TrainConfig(new_rate=10.0, weight_decay=0.1, warmup=4))
    assert set_rate([optimiser], TrainConfig(warmup=4, learning_rate=1.0), 1) == 0.5
    found = {(group["times"], group["weight_decay"]) for group in optimiser.param_groups}
    assert found == {(1.0, 0.1), (1.0, 0.0), (10.0, 0.1), (10.0, 0.0)}
    decayed = [p.ndim for group in optimiser.param_groups if group["weight_decay"] for p in group["params"]]
    assert min(decayed) >= 2
    assert sum(p.numel() for group in optimiser.param_groups for p in group["params"]) == sum(
        p.numel() for p in unity(token_bias=True).parameters()
    )


def test_muon_has_the_blocks_matrices_and_adamw_the_rest():
    network, config = unity(), TrainConfig(optimiser="muon", muon_rate=0.02, learning_rate=2e-3, warmup=1)
    muon, adam = optimisers(network, config)
    assert set_rate([muon, adam], config, 0) == pytest.approx(2e-3)
    assert isinstance(muon, torch.optim.Muon) and muon.param_groups[0]["lr"] == pytest.approx(0.02)
    mine = {id(p) for p in muon.param_groups[0]["params"]}
    theirs = {id(p) for group in adam.param_groups for p in group["params"]}
    assert not mine & theirs and mine | theirs == {id(p) for p in network.parameters()}
    names = {name for name, p in network.named_parameters() if id(p) in mine}
    assert all(name.startswith("blocks.") for name in names) and "blocks.0.ffn.net.2.weight" in names


def test_muon_resumes_to_the_last_digit(build, tmp_path):
    changes = ("steps=6", "optimiser=muon", "foreground_weight=4")
    run(build, tmp_path / "whole", *changes)
    run(build, tmp_path / "parts", *changes, "stop_after=3")
    run(build, tmp_path / "parts", *changes, resume=True)
    whole, parts = ([one["loss"] for one in events(tmp_path / name)] for name in ("whole", "parts"))
    assert len(whole) == 6 and whole == parts


def test_drawn_latent_pixels_of_densepose_and_skeletons_weigh_more():
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames[0, 0, 0, 1] = 9
    pixels = torch.from_numpy(np.stack([frames, frames]))
    weights = foreground(["skeleton", "depth"], pixels, (1, 2, 2), 4.0)
    assert weights[:, 0, 0].tolist() == [[[4, 1], [1, 1]], [[1, 1], [1, 1]]]
    assert foreground(["skeleton", "depth"], pixels, (1, 2, 2), 1.0) is None


def test_average_follows_faster_at_first():
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = Average(network, 0.9999)
    torch.nn.init.ones_(network.weight)
    average.update(network.named_parameters())
    assert float(average.weights["weight"]) == pytest.approx(1 - 2 / 11)


def test_cosine_falls_to_a_tenth():
    config = TrainConfig(steps=100, warmup=1, schedule="cosine")
    assert config.rate(0) == pytest.approx(1, abs=0.01) and config.rate(100) == pytest.approx(0.1)


def test_loss_that_is_not_finite_stops_with_the_clips_written_down(build, tmp_path):
    with pytest.raises(RunFailed, match=r"loss of step \d+ is (nan|inf); the batch's clips are in .*not_finite"):
        run(build, tmp_path / "run", "steps=30", "learning_rate=1e30", "warmup=1", "save_every=1", "clip_norm=1e30")
    said = json.loads((tmp_path / "run/not_finite.rank0.json").read_text())
    assert len(said["clips"]) == 4
    assert train_state.newest(tmp_path / "run") is not None


def test_full_disk_while_saving_keeps_the_checkpoint_before(build, tmp_path, monkeypatch):
    run(build, tmp_path / "run", "steps=4", "stop_after=2")
    import errno

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(train_state.dcp, "async_save", full)
    with pytest.raises(RunFailed, match="No space left"):
        run(build, tmp_path / "run", "steps=4", resume=True)
    monkeypatch.undo()
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["2"]
    run(build, tmp_path / "run", "steps=4", resume=True)
    assert train_state.newest(tmp_path / "run").name == "4"


def test_old_checkpoints_go(build, tmp_path):
    run(build, tmp_path / "run", "steps=4", "save_every=1", "keep=2")
    assert sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir()) == ["3", "4"]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (["step=3"], UnknownName, "Did you mean 'steps'"),
        (["task.shift=3"], UnknownName, "Did you mean 'tasks'"),
        (["steps"], BadInput, "is not understood; write steps=20 or tasks.shift=3"),
        (["steps=many"], BadInput, "--set train.steps=many: expected int"),
        (["dtype=int8"], BadInput, "dtype must be one of float32, bfloat16, got 'int8'"),
        (["stop_after=30", "steps=20"], BadInput, "stop_after must be from 1 to steps=20, got 30"),
        (["loader.modalities=('skeleton',)"], BadInput, "No clip has skeleton"),
    ],
)
def test_wrong_settings_are_one_line_and_write_nothing(build, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        run(build, tmp_path / "run", *changes)
    assert not (tmp_path / "run").exists()


def test_other_runs_are_not_overwritten_nor_resumed_from_nothing(build, tmp_path):
    with pytest.raises(BadInput, match="has no checkpoint to resume from"):
        run(build, tmp_path / "run", "steps=1", resume=True)
    run(build, tmp_path / "run", "steps=1")
    with pytest.raises(BadInput, match="holds a run at step 1. Go on with --resume"):
        run(build, tmp_path / "run", "steps=1")


def test_checkpoint_of_another_shape_is_named(build, tmp_path):
    run(build, tmp_path / "run", "steps=2", "stop_after=1")
    with pytest.raises(OpenUniError, match="does not fit this network") as caught:
        run(build, tmp_path / "run", "steps=2", "network.token_bias=true", resume=True)
    assert "\n" not in str(caught.value)


def test_init_from_an_export_begins_with_its_weights(build, tmp_path):
    run(build, tmp_path / "first", "steps=2")
    said = run(build, tmp_path / "second", "steps=1", init=str(tmp_path / "first"))
    assert any(str(tmp_path / "first") in line for line in said)
    record = json.loads((tmp_path / "second/run.json").read_text())
    assert record["config"]["init"] == str(tmp_path / "first")


def test_command_runs_in_a_folder_with_data_and_repeats_from_its_run_json(build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/mine").symlink_to(build)
    sets = [part for text in (*FAST, "steps=2") for part in ("--set", text)]
    result = CliRunner().invoke(app, ["train", *sets, "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert "no GPU" in result.stderr or torch.cuda.is_available()
    again = CliRunner().invoke(app, ["train", "--config", "ckpt/run.json", "--out", "again", "--device", "cpu"])
    assert again.exit_code == 0, again.output
    assert [one["loss"] for one in events(tmp_path / "ckpt")] == [one["loss"] for one in events(tmp_path / "again")]


def test_dry_run_says_what_it_costs_and_writes_nothing(build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        app,
        [
            "train",
            "--data",
            build,
            "--preset",
            "wan_1_3b",
            "--dry-run",
            "--set",
            "loader.max_upscale=99",
            "--set",
            "loader.num_frames=(9,)",
            "--set",
            "loader.fps=none",
        ],
    )
    assert result.exit_code == 0, result.output + str(result.exception)
    assert "1,419,613,056 parameters" in result.stdout and "H100 hours" in result.stdout
    assert "stage aligned to step 16,000: depth, flow, densepose" in result.stdout
    assert not list(tmp_path.iterdir())


def test_command_without_data_says_how_to_make_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["train"])
    assert isinstance(result.exception, BadInput)
    assert "No build found under data/. Make one (openuni build --source NAME)" in str(result.exception)


def test_settings_come_back_from_json():
    config = TrainConfig(stages=PAPER_STAGES, stop_after=5)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    with pytest.raises(UnknownName, match="Unknown training setting 'speed'"):
        TrainConfig.from_json({"speed": 1})
    new, parts = changed(TrainConfig(), ["steps=7", "tasks.shift=2"], parts={"tasks": prepared_tasks()})
    assert new.steps == 7 and parts["tasks"].shift == 2.0


def prepared_tasks():
    from openuni.model.tasks import TaskConfig

    return TaskConfig()


@pytest.mark.slow
def test_ray_train_goes_on_by_itself_after_a_worker_is_killed(build, tmp_path):
    """Two workers on Ray; one is killed after the first checkpoint. The steps done again lose what they lost before."""
    run(build, tmp_path / "alone", "steps=8", "save_every=2")
    changes = [part for text in (*FAST, "steps=8", "save_every=2") for part in ("--set", text)]
    command = [sys.executable, "-m", "openuni.cli", "train", "--data", build, "--preset", "tiny_cpu", *changes]
    out = tmp_path / "ray"
    with subprocess.Popen([*command, "--out", str(out), "--ray", "auto", "--ray-workers", "1:2"]) as process:
        killed = False
        for _ in range(600):
            if process.poll() is not None:
                break
            if not killed and train_state.newest(out) is not None:
                found = subprocess.run(["pgrep", "-f", "ray::RayTrainWorker"], capture_output=True, text=True)
                for pid in found.stdout.split()[:1]:
                    os.kill(int(pid), 9)
                    killed = True
            time.sleep(0.5)
        assert process.wait(timeout=60) == 0 and killed
    losses = {one["step"]: one["loss"] for one in events(out)}
    assert sorted(losses) == list(range(1, 9))
    alone = {one["step"]: one["loss"] for one in events(tmp_path / "alone")}
    assert losses == pytest.approx(alone, rel=1e-4)
    assert events(out, "resume")


def test_validation_draws_the_same_clip_each_time_and_writes_a_page(build, tmp_path):
    run(build, tmp_path / "run", "steps=4", "validate_every=2")
    out = tmp_path / "run"
    assert sorted(path.name for path in (out / "samples").iterdir()) == ["2.png", "4.png"]
    pictures = events(out, "picture")
    assert len({one["clip"] for one in pictures}) == 1
    assert all("flow.epe" in one["errors"] for one in pictures)
    page = (out / "report.html").read_text()
    assert "held out: " in page and "samples/4.png" in page and "loss of each step" in page
    assert any((out / "tensorboard").iterdir())


def test_staged_tasks_train_one_task_after_the_other(build, tmp_path):
    run(build, tmp_path / "run", "steps=10", "staged_tasks=true")
    tasks = [{name for name in one["parts"] if "/" not in name} for one in events(tmp_path / "run")]
    assert tasks == [{"cond"}] * 2 + [{"est"}] * 3 + [{"joint"}] * 5


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_is_a_run_that_could_begin(build, tmp_path, name):
    ready = prepared(settings(build, tmp_path / "run", *ABLATIONS[name]))
    assert ready.run.train.stage_ends()[-1] == ready.run.train.steps


def test_a_stage_without_a_modality_left_is_named(build, tmp_path):
    ready = prepared(
        Settings(data=(build,), preset="wan_1_3b", out=str(tmp_path), changes=("loader.modalities=('skeleton',)",))
    )
    with pytest.raises(BadInput, match="Stage aligned trains depth, flow, densepose, but .* Set curriculum=false"):
        loader_of(ready.run, 0)


def test_wandb_that_is_not_installed_is_named(build, tmp_path):
    if importlib.util.find_spec("wandb") is not None:
        pytest.skip("wandb is installed")
    with pytest.raises(BadInput, match="wandb=mine, but wandb is not installed: pip install wandb"):
        run(build, tmp_path / "run", "steps=1", "wandb=mine")


def test_loss_on_rendered_clips_falls_below_a_fixed_value_in_300_steps(tmp_path, monkeypatch):
    """From a seed to a loss by the command line alone: render, build, train by the recipe, at half its size."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments):
        result = CliRunner().invoke(app, [str(one) for one in arguments])
        assert result.exit_code == 0, result.output + repr(result.exception)

    render = ("--families", "plain", "--clips", 12, "--size", 24, "--frames", 5, "--ray", "off", "--workers", 1)
    command("unibench", "render", "--out", "R", *render)
    built = ("--root", "R", "--experts", "truth", "--ray", "off", "--workers", 1)
    command("build", "--source", "synthetic", "--out", "B", *built)
    sets = ("steps=300", "workers=0", "validate_every=0", "loader.sizes=((12,12),)")
    command("train", "--data", "B", "--device", "cpu", *(part for text in sets for part in ("--set", text)))
    losses = [one["loss"] for one in events(tmp_path / "ckpt")]
    assert len(losses) == 300 and sum(losses[:5]) / 5 > 0.4 and sum(losses[-30:]) / 30 < 0.15


def test_checkpoint_that_is_written_beside_training_is_of_its_own_step(build, tmp_path):
    """Training goes on while a thread writes: the file must not have what the next steps made of the weights."""
    run(build, tmp_path / "run", "steps=6", "save_every=2", "keep=9")
    run(build, tmp_path / "short", "steps=6", "stop_after=2")
    whole, short = (tmp_path / name / "checkpoints/2" for name in ("run", "short"))
    states = []
    for path in (whole, short):
        network = find(tmp_path / "run").network
        optimiser, average = optimisers(network, TrainConfig()), Average(network, 0.9)
        train_state.restore(path, network, optimiser, average)
        states.append({**network.state_dict(), **{f"ema.{name}": one for name, one in average.weights.items()}})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("text", ["0", "two", "3:2", "2:", ":4", "-1"])
def test_wrong_numbers_of_ray_workers_are_named(build, text):
    result = CliRunner().invoke(app, ["train", "--data", build, "--ray", "auto", "--ray-workers", text])
    assert isinstance(result.exception, BadInput) and "write 4, or 2:8 for 2 to 8" in str(result.exception)


def test_on_a_terminal_a_bar_shows_and_lines_go_above_it(build, tmp_path, monkeypatch, capsys):
    from openuni.model.launch import _Log
    from openuni.run import RunFolder

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with RunFolder(tmp_path, "train") as folder:
        log = _Log(TrainConfig(steps=4, tensorboard=False, log_every=1), folder, lambda text: pytest.fail(text))
        log("train", step=1, loss=0.5, parts={"est": 0.5}, rate=1e-3, seconds=0.1, tokens=10, flops=1)
        log.close()
    assert "step 1/4 loss 0.5000 (est 0.5000)" in capsys.readouterr().err.replace("\n", " ")
