"""Weights that the user brings: where they are looked for, what is said when they are missing, what changes a hash."""

import pytest
import torch

from openuni.annotators import weights as module
from openuni.annotators.device import Batches, OutOfMemory, pick_dtype
from openuni.annotators.expert import fill, read_state
from openuni.annotators.experts import EXPERTS, PROFILES
from openuni.annotators.weights import check_commercial, find_weights, weights_hash
from openuni.device import pick_device
from openuni.errors import BadInput, MissingWeights, UnknownName
from tests.annotators.tiny_experts import hide_caches

DEPTH, FLOW = "depth-anything-v2-small", "raft-large"
NAMES = ("config.json", "preprocessor_config.json", "model.safetensors")


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path, monkeypatch):
    hide_caches(monkeypatch, tmp_path)


def write(folder, names=NAMES):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"content of {name}")
    return folder


def test_missing_weights_are_one_line_with_names_place_and_command(tmp_path):
    (tmp_path / "w").mkdir()
    with pytest.raises(MissingWeights) as caught:
        find_weights(DEPTH, tmp_path / "w")
    said = str(caught.value)
    assert "\n" not in said and caught.value.exit_code == 2
    assert f"Weights of {DEPTH}: config.json, preprocessor_config.json, model.safetensors not found." in said
    assert (
        f"They belong in {tmp_path}/w/Depth-Anything-V2-Small-hf (--weights {tmp_path}/w, or OPENUNI_WEIGHTS)" in said
    )
    assert f"hf download depth-anything/Depth-Anything-V2-Small-hf {' '.join(NAMES)} --local-dir {tmp_path}/w/" in said


def test_a_missing_part_is_named_with_its_folder(tmp_path):
    folder = write(tmp_path / "Depth-Anything-V2-Small-hf", NAMES[:2])
    with pytest.raises(MissingWeights, match=f"Weights of {DEPTH}: {folder} has no model.safetensors. They belong"):
        find_weights(DEPTH, tmp_path)


def test_a_flow_files_command_is_a_download_by_its_address(tmp_path):
    with pytest.raises(
        MissingWeights, match=r"curl -L --create-dirs -o .*/raft/raft_large_C_T_SKHT_V2-ff5fadd5.pth https"
    ):
        find_weights(FLOW, tmp_path)


def test_the_given_folder_comes_before_the_variable_and_that_before_the_caches(tmp_path, monkeypatch):
    repository = tmp_path / "hf" / "hub" / "models--depth-anything--Depth-Anything-V2-Small-hf"
    cached = write(repository / "snapshots" / "abc")
    write(repository / "snapshots" / "000")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert find_weights(DEPTH).folder == cached
    named = write(tmp_path / "named" / "Depth-Anything-V2-Small-hf")
    monkeypatch.setenv("OPENUNI_WEIGHTS", str(tmp_path / "named"))
    assert find_weights(DEPTH).folder == named
    given = write(tmp_path / "given" / "depth-anything" / "Depth-Anything-V2-Small-hf")
    assert find_weights(DEPTH, tmp_path / "given").folder == given


def test_a_single_file_may_lie_in_the_folder_itself_or_in_torchs_cache(tmp_path):
    cached = write(tmp_path / "torch" / "hub" / "checkpoints", [EXPERTS[FLOW].files[0].name])
    assert find_weights(FLOW).folder == cached
    given = write(tmp_path / "w", ["raft-things.pth"])
    assert find_weights(FLOW, given).files == (given / "raft-things.pth",)


def test_files_named_like_every_models_are_not_taken_from_the_folder_itself(tmp_path):
    write(tmp_path / "w")
    with pytest.raises(MissingWeights):
        find_weights(DEPTH, tmp_path / "w")


def test_the_hash_changes_with_a_byte_and_not_with_the_place(tmp_path):
    first = find_weights(DEPTH, write(tmp_path / "a" / "Depth-Anything-V2-Small-hf").parent)
    second = find_weights(DEPTH, write(tmp_path / "b" / "Depth-Anything-V2-Small-hf").parent)
    assert weights_hash(first) == weights_hash(second)
    (second.folder / "preprocessor_config.json").write_text("another resolution")
    assert weights_hash(first) != weights_hash(second)


def test_a_folder_that_is_not_there_and_an_unknown_expert_are_clear_lines(tmp_path):
    with pytest.raises(BadInput, match=r"--weights .*none is not a folder. Make it and run: hf download"):
        find_weights(DEPTH, tmp_path / "none")
    with pytest.raises(UnknownName, match="Did you mean 'raft-large'"):
        find_weights("raft-larg", tmp_path)


def test_a_licence_that_forbids_or_was_not_read_is_refused_by_name():
    check_commercial(["depth-anything-v2-small", "flow-dis"])
    with pytest.raises(BadInput, match=r"refuses depth-anything-v2-large: its licence is CC-BY-NC-4.0 \(read at https"):
        check_commercial(["depth-anything-v2-large"])
    with pytest.raises(BadInput, match="refuses raft-large: its licence is unverified: BSD"):
        check_commercial(["raft-large"])


def test_what_is_said_of_each_expert_is_complete():
    assert set(PROFILES) == {"paper", "best", "commercial"}
    for name, expert in EXPERTS.items():
        assert expert.files and expert.licence and expert.modality, name
        assert expert.hub or expert.commands or all(file.url for file in expert.files), name
        assert bool(expert.package) == bool(expert.imports), name
        assert ("unverified" in expert.terms) != bool(expert.read_at), name


def test_a_missing_package_is_said_with_what_brings_it():
    with pytest.raises(
        BadInput, match="Expert depth-anything-3-mono-large needs depth_anything_3: a checkout of https"
    ):
        module.check_packages("depth-anything-3-mono-large")


def test_a_cpu_computes_in_float32_and_unknown_words_are_refused():
    assert pick_dtype(torch.device("cpu")) == torch.float32
    assert pick_dtype(torch.device("cuda")) == torch.float16
    with pytest.raises(BadInput, match="device must be auto, cpu, cuda or cuda:N, got 'gpu'"):
        pick_device("gpu")
    with pytest.raises(BadInput, match="precision must be one of auto, float32"):
        pick_dtype(torch.device("cpu"), "half")


def full_above(limit):
    """A network that fits `limit` pictures."""

    def call(pictures, others):
        if len(pictures) > limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return pictures + others

    return call


def test_a_full_gpu_halves_the_batch_and_goes_on_and_remembers():
    batches, values = Batches(8), torch.arange(11.0)
    out = torch.cat(batches.run(full_above(3), values, values))
    assert torch.equal(out, 2 * values)
    assert batches.size == 2


def test_a_picture_that_does_not_fit_alone_ends_with_its_size():
    with pytest.raises(OutOfMemory, match=r"out of memory with a batch of one, \(1, 3, 4, 5\)"):
        Batches(4).run(full_above(0), torch.zeros(2, 3, 4, 5), torch.zeros(2))


def test_files_that_hold_no_tensors_are_one_clear_line(tmp_path):
    bad = tmp_path / "bad.pth"
    bad.write_bytes(b"<html>not found</html>")
    with pytest.raises(BadInput, match=r"bad.pth cannot be read as weights .* openuni weights"):
        read_state(bad)
    safe = tmp_path / "bad.safetensors"
    safe.write_bytes(b"<html>not found</html>")
    with pytest.raises(BadInput, match="bad.safetensors cannot be read as weights"):
        read_state(safe)
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BadInput, match="holds no tensors by name"):
        read_state(tmp_path / "list.pth")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_pickled_code_is_never_run(tmp_path, capsys):
    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(BadInput, match="cannot be read as weights"):
        read_state(tmp_path / "evil.pth")
    assert "executed" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused_with_examples(tmp_path):
    network = torch.nn.Linear(2, 3)
    path = tmp_path / "x.pth"
    torch.save({"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path)
    fill(torch.nn.Linear(2, 3), read_state(path), path)
    with pytest.raises(
        BadInput, match="x.pth is for another network than Linear: 2 of 2 tensors differ, as weight, bias"
    ):
        fill(torch.nn.Linear(2, 4), read_state(path), path)
