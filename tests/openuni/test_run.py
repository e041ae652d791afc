"""Run folders: one writer at a time, a record of what was run."""

import json

import pytest

from openuni.errors import BadInput
from openuni.run import RunFolder, hardware, versions


def test_two_runs_cannot_write_into_one_folder(tmp_path):
    with (
        RunFolder(tmp_path / "out", "build"),
        pytest.raises(BadInput, match="Another run is writing to"),
        RunFolder(tmp_path / "out", "build"),
    ):
        pass
    with RunFolder(tmp_path / "out", "build"):
        pass


def test_earlier_runs_stay_in_the_record(tmp_path):
    for number in range(3):
        with RunFolder(tmp_path / "out", "build") as folder:
            folder.record({"number": number})
    about = json.loads((tmp_path / "out" / "run.json").read_text())
    assert about["config"] == {"number": 2} and len(about["runs"]) == 3


def test_a_folder_of_another_command_is_refused(tmp_path):
    with RunFolder(tmp_path / "out", "train") as folder:
        folder.record({})
    with pytest.raises(BadInput, match="holds a train run, not a build"), RunFolder(tmp_path / "out", "build"):
        pass


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(BadInput, match="is a file; --out wants a folder"), RunFolder(tmp_path / "out", "build"):
        pass


def test_a_damaged_record_is_one_line(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(BadInput, match="cannot be read"), RunFolder(tmp_path, "build"):
        pass


def test_events_are_one_json_object_a_line(tmp_path):
    with RunFolder(tmp_path / "out", "build") as folder:
        folder.event("unit", unit="000001")
        folder.event("unit", unit="line\nbreak")
    lines = (tmp_path / "out" / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["unit"] for line in lines] == ["000001", "line\nbreak"]
    assert all(json.loads(line)["time"].endswith("Z") for line in lines)


def test_what_decides_a_run_is_recorded():
    assert {"openuni", "python", "torch", "av", "opencv-python"} <= versions().keys()
    assert hardware()["cores"] >= 1 and hardware()["memory_gib"] > 0
