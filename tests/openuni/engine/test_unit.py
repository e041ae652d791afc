"""Plans: frozen, appended to, the same whoever makes them."""

import pytest

from openuni.engine.unit import MAX_UNIT_SIZE, Plan
from tests.openuni.engine.cases import make_clips


def sizes(plan):
    return [len(plan.read(name).clips) for name in plan.names()]


def test_clips_come_back_in_order(tmp_path):
    plan = Plan(tmp_path)
    plan.append(make_clips(5), unit_size=2)
    assert [clip for name in plan.names() for clip in plan.read(name).clips] == make_clips(5)
    assert sizes(plan) == [2, 2, 1]


def test_planned_and_repeated_clips_are_planned_once(tmp_path):
    plan = Plan(tmp_path)
    plan.append(make_clips(3) + make_clips(3), unit_size=2)
    assert plan.append(make_clips(4), unit_size=2) == ["000002"]
    assert sizes(plan) == [2, 1, 1]
    assert plan.append(make_clips(4), unit_size=2) == []


def test_a_planned_unit_never_changes(tmp_path):
    plan = Plan(tmp_path)
    plan.append(make_clips(3), unit_size=2)
    before = (tmp_path / "000001.parquet").read_bytes()
    plan.append(make_clips(9), unit_size=2)
    assert (tmp_path / "000001.parquet").read_bytes() == before


def test_clips_are_counted_without_reading_a_row(tmp_path):
    plan = Plan(tmp_path / "plan" / "score")
    assert plan.num_clips() == 0
    plan.append(make_clips(5), unit_size=2)
    assert plan.num_clips() == len(plan.clip_ids()) == 5
    plan.append(make_clips(9), unit_size=2)
    for name in plan.names():  # the footer, at the end, stays; after the head's four bytes come the rows
        path = plan.folder / f"{name}.parquet"
        content = bytearray(path.read_bytes())
        content[4:40] = bytes(36)
        path.write_bytes(content)
    assert plan.num_clips() == 9
    with pytest.raises(OSError, match="page header"):
        plan.clip_ids()


@pytest.mark.parametrize(("clips", "expected"), [(1, [1]), (5, [1] * 5), (40, [3] * 13 + [1])])
def test_few_clips_make_several_units(tmp_path, clips, expected):
    plan = Plan(tmp_path)
    plan.append(make_clips(clips))
    assert sizes(plan) == expected


def test_many_clips_make_units_of_the_greatest_size_and_are_streamed(tmp_path):
    plan = Plan(tmp_path)
    taken = []

    def source():
        for clip in make_clips(16 * MAX_UNIT_SIZE + 1000):
            taken.append(clip)
            if len(taken) == 16 * MAX_UNIT_SIZE + 300:
                assert len(plan.names()) >= 16  # the first units stand before the source is read to its end
            yield clip

    plan.append(source())
    assert sizes(plan) == [MAX_UNIT_SIZE] * 19 + [(16 * MAX_UNIT_SIZE + 1000) - 19 * MAX_UNIT_SIZE]


def test_a_plan_interrupted_between_units_ends_as_an_undisturbed_one(tmp_path):
    def failing():
        yield from make_clips(5)
        raise KeyboardInterrupt

    cut, whole = Plan(tmp_path / "cut"), Plan(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        cut.append(failing(), unit_size=2)
    cut.append(make_clips(9), unit_size=2)
    whole.append(make_clips(9), unit_size=2)
    assert [cut.read(name) for name in cut.names()] == [whole.read(name) for name in whole.names()]
