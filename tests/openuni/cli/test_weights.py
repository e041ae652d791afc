"""openuni weights: what is said of each expert, and that verify tells a right map from one that says nothing."""

import json

import pytest
from typer.testing import CliRunner

from openuni.annotators.experts import EXPERTS
from openuni.benchmark import verify_experts as module
from openuni.cli import app
from openuni.cli.doctor import check_experts
from openuni.errors import BadInput, UnknownName
from openuni.table import ANNOTATORS, EXPERT_SETS, FILTERS
from tests.annotators.tiny_experts import hide_caches, save_depth_anything, save_raft
from tests.annotators.tiny_masks import save_sam, save_sam2


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path, monkeypatch):
    hide_caches(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_depth_anything(folder / "Depth-Anything-V2-Small-hf")
    save_raft(folder / "raft")
    return folder


def run(*words):
    return CliRunner().invoke(app, ["weights", *map(str, words)], catch_exceptions=False, env={"COLUMNS": "160"})


def test_each_expert_has_place_licence_and_command(folder):
    found = {row["expert"]: row for row in json.loads(run("--weights", folder, "--json").stdout)}
    assert set(found) == set(EXPERTS)
    small, large, raft = (found[name] for name in ("depth-anything-v2-small", "depth-anything-v2-large", "raft-small"))
    assert (small["state"], small["commercial"]) == ("present", True)
    assert small["place"] == str(folder / "Depth-Anything-V2-Small-hf")
    assert (large["state"], large["commercial"]) == ("missing", False)
    assert large["command"].startswith("hf download depth-anything/Depth-Anything-V2-Large-hf config.json")
    assert raft["state"] == "other version" and raft["other_version"] == ["raft_small_C_T_V2-01064c6d.pth"]
    assert "unverified" in raft["licence"] and not raft["commercial"]


def test_the_table_ends_with_what_is_here_and_shows_commands_whole(folder):
    said = run("--weights", folder).stdout
    assert f"2 of {len(EXPERTS)} are here" in said
    assert f"  {EXPERTS['raft-large'].command(str(folder))}\n" in said


def test_a_profile_lists_its_members_and_what_they_use():
    names = [row["expert"] for row in json.loads(run("--profile", "commercial", "--json").stdout)]
    assert names == ["depth-anything-v2-small", "sam", "sam2.1-large", "dwpose", "yolox-l"]  # flow-dis has no weights
    with pytest.raises(UnknownName, match="Unknown profile 'papr'. Did you mean 'paper'"):
        run("--profile", "papr")


def test_every_expert_with_weights_has_a_loader_and_every_set_is_made_of_parts():
    for name, expert in EXPERTS.items():
        table = {"filter": FILTERS, "shared": EXPERTS, "vbench": EXPERTS}.get(expert.modality, ANNOTATORS)
        assert name in table, name
    allowed = [name for name in EXPERT_SETS["commercial"] if name in EXPERTS]
    assert all(EXPERTS[one].commercial for name in allowed for one in (name, *EXPERTS[name].uses))


def test_doctor_says_which_sets_would_run(folder, tmp_path, monkeypatch):
    said = {check.name: check for check in check_experts()}
    assert said["experts paper"].status == "warn" and "depth-anything-v2-large" in said["experts paper"].found
    assert said["experts paper"].advice == "If you need it: openuni weights --profile paper"
    monkeypatch.setenv("OPENUNI_WEIGHTS", str(folder))
    said = {check.name: check for check in check_experts()}
    assert said["experts commercial"].found == "not here: sam, sam2.1-large, dwpose, yolox-l"
    save_sam(tmp_path / "w" / "sam")
    save_sam2(tmp_path / "w" / "sam2.1-hiera-large")
    save_depth_anything(tmp_path / "w" / "Depth-Anything-V2-Small-hf")
    monkeypatch.setenv("OPENUNI_WEIGHTS", str(tmp_path / "w"))
    said = {check.name: check for check in check_experts()}
    assert said["experts commercial"].found == "not here: dwpose, yolox-l"
    monkeypatch.setitem(EXPERT_SETS, "commercial", ("depth-anything-v2-small", "flow-dis", "sam"))
    said = {check.name: check for check in check_experts()}
    assert said["experts commercial"].status == "ok"


def test_verify_passes_truth_and_embedded_flow_and_refuses_random_networks(folder):
    names = ["truth-depth", "flow-dis", "raft-small", "depth-anything-v2-small"]
    done = run("verify", *names, "--weights", folder)
    assert done.exit_code == 1
    lines = {line.split()[1].rstrip(":"): line for line in done.stdout.splitlines() if ":" in line}
    assert [lines[name][:3] for name in names] == ["ok ", "ok ", "BAD", "BAD"]
    assert "2 of 4 experts are out of range: raft-small, depth-anything-v2-small" in done.stdout


def test_the_bound_of_masks_passes_everything_and_persons_alone_and_refuses_one_mask_for_all(tmp_path):
    import numpy as np

    from openuni.benchmark.judge import judge
    from openuni.modality import Map

    truth = module.rendered_truth(tmp_path)
    bound = module.BOUNDS["segmentation"]
    seen = truth.segmentation
    ground = np.where(seen > 0, seen, 60 + np.arange(seen.shape[1])[:, None] // 64)  # and the background in stripes
    maps = {
        "everything": ground,
        "persons": np.where(np.isin(seen, truth.person_ids), seen, 0),
        "one": np.ones_like(seen),
        "elsewhere": np.roll(seen, seen.shape[2] // 2, axis=2),
    }

    def passes(data):
        scored = judge("segmentation", Map(data=data.astype(np.uint8)), truth)
        value = next(one.value for one in scored if (one.metric, one.protocol) == (bound.metric, bound.protocol))
        return value >= module.bound_of("segmentation", truth)

    assert {name: passes(data) for name, data in maps.items()} == {
        "everything": True, "persons": True, "one": False, "elsewhere": False,
    }  # fmt: skip


def test_verify_says_what_kept_an_expert_from_running(tmp_path):
    (one,) = module.verify(["depth-pro"], str(tmp_path))
    assert not one.ok and one.said.startswith("Weights of depth-pro: config.json")


def test_verify_leaves_out_what_needs_the_users_settings(tmp_path):
    save_sam2(tmp_path / "sam2.1-hiera-large")  # all that opens2v-masks needs of weights
    with pytest.raises(BadInput, match="No expert's weights are here"):
        run("verify", "--weights", tmp_path)


def test_verify_without_any_weights_is_a_clear_line(tmp_path):
    with pytest.raises(BadInput, match="No expert's weights are here"):
        run("verify", "--weights", tmp_path)
    with pytest.raises(BadInput, match="Write --weights behind verify"):
        run("--weights", tmp_path, "verify")
