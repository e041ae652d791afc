"""The loader's plan: what stands where, for any number of ranks; and what may never stand anywhere."""

from collections import Counter

import pytest

from openuni.errors import BadInput, UnknownName
from openuni.model.data.clips import read_clips
from openuni.model.data.config import LoaderConfig, size_table
from openuni.model.data.plan import Plan
from openuni.model.data.shuffle import shuffled
from tests.model.tiny_build import FPS, clip, write_build

SIZES = ((32, 48),)


def config(*builds, **changes):
    wanted = {"batch_size": 6, "num_frames": (5,), "fps": None, "sizes": SIZES, "workers": 0}
    return LoaderConfig(builds=builds, **{**wanted, **changes})


def plan(*builds, split="train", **changes):
    given = config(*builds, **changes)
    return Plan(given, read_clips(given, split))


def keys(made, steps, batch_size=6):
    """Keys of each batch."""
    names = made.clips.table["key"].to_pylist()
    return [[names[made.at(step, index).clip] for index in range(batch_size)] for step in range(steps)]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """Four groups of 7, 3, 5 and 2 clips, two of them families of rendered scenes."""
    sizes = {"koala36m": 7, "opens2v": 3, "one_person": 5, "two_people": 2}
    groups = [group for group, count in sizes.items() for _ in range(count)]
    clips = [clip(number, group) for number, group in enumerate(groups)]
    return write_build(tmp_path_factory.mktemp("grouped") / "build", clips)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100])
def test_a_shuffle_has_each_thing_once_and_other_keys_other_orders(size):
    orders = {tuple(shuffled(place, size, "key", epoch) for place in range(size)) for epoch in range(20)}
    assert all(sorted(order) == list(range(size)) for order in orders)
    assert len(orders) > (1 if size > 2 else 0)


def test_the_first_of_three_is_each_of_them_equally_often():
    counts = Counter(shuffled(0, 3, epoch) for epoch in range(3000))
    assert all(abs(count - 1000) < 130 for count in counts.values())  # five standard deviations of 26


def test_the_order_is_the_same_in_every_version():
    assert [shuffled(place, 10, 0, "clip") for place in range(10)] == [2, 3, 6, 1, 5, 0, 8, 7, 4, 9]


def test_each_batch_has_the_groups_equally_give_or_take_one_and_over_time_exactly(grouped):
    made = plan(grouped)
    assert made.groups == ("koala36m", "opens2v", "single_human", "two_human")
    total = Counter()
    for step in range(20):
        counts = Counter(made.at(step, index).group for index in range(6))
        assert len(counts) == 4 and max(counts.values()) - min(counts.values()) <= 1
        total += counts
    assert set(total.values()) == {30}


def test_without_balance_all_clips_are_seen_once_before_one_is_seen_twice(grouped):
    made = plan(grouped, balance="none", batch_size=17)
    for batch in keys(made, 3, 17):
        assert len(set(batch)) == 17


def test_within_a_group_no_clip_is_doubled_or_lost_in_an_epoch(grouped):
    made = plan(grouped)
    seen = [key for batch in keys(made, 14) for key in batch if key in {f"clip{n:03d}" for n in range(7)}]
    assert len(seen) == 21  # 14 x 6 / 4: three epochs of seven clips
    for epoch in range(3):
        assert len(set(seen[7 * epoch : 7 * epoch + 7])) == 7
    assert seen[:7] != seen[7:14]


def test_the_share_of_a_group_that_is_missing_goes_to_the_others(tmp_path):
    made = plan(write_build(tmp_path / "two", [clip(0, "a"), clip(1, "b"), clip(2, "b")]))
    assert Counter(made.at(0, index).group for index in range(6)) == {"a": 3, "b": 3}


def test_other_seeds_give_other_orders(grouped):
    assert keys(plan(grouped), 4) == keys(plan(grouped), 4) != keys(plan(grouped, seed=1), 4)


def bucketed_clips():
    """Wide and tall clips, long and short; group b has wide short ones only."""
    long_wide = [clip(n, "a", frames=9) for n in range(4)]
    tall = [clip(10 + n, "a", height=48, width=32) for n in range(2)]
    return [*long_wide, *tall, *(clip(20 + n, "b", frames=5) for n in range(3))]


def test_a_batch_has_one_bucket_and_its_clips_fill_it(tmp_path):
    made = plan(write_build(tmp_path / "b", bucketed_clips()), sizes=((32, 48), (48, 32)), num_frames=(5, 9))
    frames = made.clips.table["rgb.num_frames"].to_pylist()
    seen = Counter()
    for step in range(64):
        placed = [made.at(step, index) for index in range(6)]
        (bucket,) = {one.bucket for one in placed}
        assert all(frames[one.clip] >= bucket.num_frames for one in placed)
        seen[bucket] += 1
    assert set(seen) == {(9, 32, 48), (9, 48, 32), (5, 32, 48)}
    # Group a lives in the 9-frame buckets, 2 : 1; all of b is in the short one: (2/3, 1/3, 1) of 2.
    assert [seen[bucket] for bucket in ((9, 32, 48), (9, 48, 32), (5, 32, 48))] == [21, 11, 32]


def test_a_group_without_a_home_in_a_bucket_gives_clips_that_fill_it_else_its_share(tmp_path):
    made = plan(write_build(tmp_path / "b", bucketed_clips()), sizes=((32, 48), (48, 32)), num_frames=(5, 9))
    of = {bucket: {group: len(pool) for group, pool in pools.items()} for bucket, pools in made.pools.items()}
    assert of[9, 32, 48] == {"a": 4}
    assert of[5, 32, 48] == {"a": 4, "b": 3}  # the tall ones would have to be enlarged 1.5 times


def test_an_unreadable_clip_is_followed_by_others_of_its_group(grouped):
    made = plan(grouped)
    for index in range(6):
        first = made.at(3, index)
        clips = [made.at(3, index, attempt=attempt) for attempt in range(first.pool_size)]
        assert {one.group for one in clips} == {first.group}
        assert len({one.clip for one in clips}) == first.pool_size


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """One clip of each kind that training may not read, and two that it may."""
    folder = tmp_path_factory.mktemp("leaky")
    clips = [
        clip(0),
        clip(1),
        clip(2, split="validation"),
        clip(3, source="synthetic", source_key="unibench-007", source_video="unibench-007", group="objects"),
        clip(4, source_key="clips/unibench-pair-4/rgb.mp4"),
        clip(5, source="synthetic", source_key="objects-2026-000003", source_video="objects-2026-000003"),
        clip(6, source_key="listed.mp4"),
        clip(7, source_video="listed"),
        clip(8, source_video="listed"),
        clip(9, source_video="taken"),
        clip(10, source_video="taken", split="validation"),
    ]
    (folder / "bench.txt").write_text("# frozen\nlisted.mp4  # a file\nclip007\nclip009\nnot here\n")
    return write_build(folder / "build", clips), str(folder / "bench.txt")


def test_training_reads_no_validation_no_frozen_scene_and_no_bench_clip(leaky, caplog):
    caplog.set_level("INFO", logger="openuni.model.data.clips")
    build, listed = leaky
    made = plan(build, bench_lists=(listed,))
    assert {key for batch in keys(made, 20) for key in batch} == {"clip000", "clip001"}
    # clip008 is another window of the source video of clip007, which the list names.
    assert made.left_out == {"other_split": 2, "frozen_unibench_scene": 3, "bench_list": 4}
    assert "2 clips; left out: 2 other_split, 3 frozen_unibench_scene, 4 bench_list" in caplog.text


def test_validation_reads_nothing_but_validation(leaky):
    assert {key for batch in keys(plan(leaky[0], split="validation"), 10) for key in batch} == {"clip002", "clip010"}


def test_without_the_bench_list_its_clips_would_be_read(leaky):
    assert {"clip006", "clip007", "clip008", "clip009"} < {key for batch in keys(plan(leaky[0]), 20) for key in batch}


def test_scenes_of_other_seeds_are_not_frozen(tmp_path):
    names = ("objects-2025-000003", "unibench", "my-unibench-7", "a-2026-000003")
    made = plan(write_build(tmp_path / "b", [clip(n, source_key=name) for n, name in enumerate(names)]))
    assert len(made.clips) == 4


def test_a_clip_that_two_builds_have_is_read_once(tmp_path):
    builds = [
        write_build(tmp_path / name, [clip(n) for n in numbers]) for name, numbers in (("a", (0, 1)), ("b", (1, 2)))
    ]
    made = plan(*builds)
    assert sorted(made.clips.table["key"].to_pylist()) == ["clip000", "clip001", "clip002"]
    assert made.left_out == {"in_an_earlier_build": 1}


def test_builds_with_other_modalities_are_read_together(tmp_path):
    one = write_build(tmp_path / "one", [clip(0, modalities=("depth",))])
    two = write_build(tmp_path / "two", [clip(1, modalities=("flow", "segmentation"))])
    made = plan(one, two)
    assert made.clips.modalities == ("depth", "flow", "segmentation")
    assert made.clips.present.tolist() == [[True, False, False], [False, True, True]]


def test_a_clip_that_cannot_fill_the_streams_is_left_out(tmp_path):
    made = plan(write_build(tmp_path / "b", [clip(0), clip(1, modalities=("flow", "depth"))]), num_maps=2)
    assert keys(made, 1) == [["clip001"] * 6] and made.left_out == {"too_few_modalities": 1}


def test_dropped_flow_counts_as_absent_where_frames_are_left_out(tmp_path):
    build = write_build(tmp_path / "b", [clip(0), clip(1, fps=FPS / 2)])
    assert keys(plan(build, fps=FPS / 2, strided_flow="drop"), 1) == [["clip001"] * 6]
    assert len(plan(build, fps=FPS / 2).clips) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": (8,)}, "loader.num_frames must be of the form 4n + 1 (1, 5, ... 81), got (8,)."),
        ({"num_frames": (4,), "frame_step": 2}, "loader.num_frames must be of the form 2n + 1 (1, 3, ... 41)"),
        ({"sizes": ((32, 40),)}, "loader.sizes must be (height, width) in multiples of 16 px, got ((32, 40),)."),
        ({"modalities": ("depth",)}, "No clip has depth: "),
        ({"num_frames": (13,)}, "No clip has 13 frames: the longest has 9 (9 stored at 8 fps)."),
        ({"num_frames": (9,), "fps": 4.0}, "No clip has 9 frames at 4 fps: the longest has 5 (9 stored at 8 fps)."),
        ({"num_frames": (5,), "fps": 16.0}, "No clip has 5 frames at 16 fps: the longest has 0 (9 stored at 8 fps)."),
        (
            {"sizes": ((64, 96),)},
            "No clip of 5 frames is large enough for ((64, 96),): the largest short side is 32 px.",
        ),
        ({"bench_lists": ("nowhere.txt",)}, "Bench list nowhere.txt cannot be read"),
        ({"uv": True}, "loader.uv keeps U and V, which cannot be mirrored; set loader.flip=0"),
        ({"num_maps": 2, "modalities": ("flow",)}, "2 map streams need as many modalities, got flow."),
        ({"num_maps": 2}, "No clip is left for train in "),
    ],
)
def test_what_cannot_work_is_one_line(grouped, changes, message):
    with pytest.raises(BadInput) as error:
        plan(grouped, **changes)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_an_index_is_one_line(tmp_path):
    with pytest.raises(BadInput, match=r"has no index.parquet. Give the folder of a finished build"):
        plan(str(tmp_path))


def test_an_unknown_name_is_told(grouped):
    with pytest.raises(UnknownName, match="Did you mean 'groups'"):
        plan(grouped, balance="group")


def test_sizes_have_about_the_area_and_lie_on_the_grid():
    sizes = size_table(480, 832)
    assert sizes[0] == (480, 832) and len(sizes) == 5
    for height, width in sizes:
        assert height % 16 == width % 16 == 0
        assert abs(height * width / (480 * 832) - 1) < 0.04
    assert (832, 480) in size_table(480, 832, aspects=((26, 15),))
