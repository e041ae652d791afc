"""The joined table is what the units' files say, whatever was added, changed or removed since it was last made."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openuni.engine import joined as module
from openuni.engine.joined import count_rows, read_joined

SCHEMA = pa.schema([("key", pa.string()), ("score", pa.float64())])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "units").mkdir()
    for number in range(4):
        write(tmp_path / "units", number, number + 1)
    return tmp_path / "units"


def write(folder, unit, rows, offset=0.0):
    table = pa.table({"key": [f"{unit}-{row}" for row in range(rows)], "score": [offset + row for row in range(rows)]})
    metadata = {b"about": f"unit {unit} of {rows}".encode()}
    pq.write_table(table.cast(SCHEMA).replace_schema_metadata(metadata), folder / f"{unit:06d}.parquet")


def read(folder, units=None, **options):
    units = sorted(path.stem for path in folder.glob("*.parquet")) if units is None else units
    cache = folder.parent / "cache" / "all.parquet"
    return read_joined(folder, units, cache=cache, schema=SCHEMA, metadata_key=b"about", **options)


def expected(folder):
    rows = []
    for path in sorted(folder.glob("*.parquet")):
        rows += [{**row, "unit": path.stem} for row in pq.ParquetFile(path).read().to_pylist()]
    return rows


def test_the_joined_table_has_every_units_rows_in_order_with_its_unit_and_what_it_says(folder):
    for _ in range(2):  # made, then from the cache
        joined = read(folder)
        assert joined.table.to_pylist() == expected(folder)
        assert joined.about["000002"] == "unit 2 of 3"


def test_rows_are_counted_right_before_and_after_the_cache_is_made_and_when_a_file_changes(folder):
    cache = folder.parent / "cache" / "all.parquet"
    units = [f"{number:06d}" for number in range(4)]
    assert count_rows(folder, units, cache=cache) == 1 + 2 + 3 + 4
    assert not cache.exists()
    read(folder)
    assert count_rows(folder, units, cache=cache) == 10
    write(folder, 2, 7)
    (folder / "000000.parquet").unlink()
    assert count_rows(folder, units, cache=cache) == 2 + 7 + 4
    assert count_rows(folder, ["000001", "000009"], cache=cache) == 2


def test_rows_are_counted_from_the_cache_where_it_is_up_to_date(folder, monkeypatch):
    read(folder)
    monkeypatch.setattr(pq, "read_metadata", lambda path: pytest.fail(f"opened {path}"))
    assert count_rows(folder, ["000001", "000003"], cache=folder.parent / "cache" / "all.parquet") == 2 + 4


def test_a_second_read_opens_no_units_file(folder, monkeypatch):
    read(folder)
    opened = []
    real = module.pq.ParquetFile
    monkeypatch.setattr(module.pq, "ParquetFile", lambda path: opened.append(path) or real(path))
    read(folder)
    assert opened == []
    write(folder, 9, 2)
    assert len(read(folder).table) == 12
    assert [path.name for path in opened] == ["000009.parquet"]


@pytest.mark.parametrize("change", ["add", "rewrite", "remove", "insert"])
def test_a_change_is_seen_at_once(folder, change):
    read(folder)
    if change == "add":
        write(folder, 4, 5)
    elif change == "rewrite":
        write(folder, 1, 2, offset=100.0)
        os.utime(folder / "000001.parquet", ns=(1, 1))  # whatever the clock says
    elif change == "remove":
        (folder / "000001.parquet").unlink()
    else:
        (folder / "000002.parquet").rename(folder / "000000a.parquet")
    assert read(folder).table.to_pylist() == expected(folder)


def test_some_units_and_some_columns_can_be_asked_for(folder):
    joined = read(folder, ["000001", "000003", "777777"], columns=["score"])
    assert joined.table.column_names == ["score", "unit"]
    assert joined.table["unit"].to_pylist() == ["000001"] * 2 + ["000003"] * 4
    assert list(joined.about) == ["000001", "000003"]


def test_a_missing_folder_and_an_empty_one_have_the_schema_and_no_rows(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        joined = read_joined(tmp_path / name, [], cache=tmp_path / "cache" / "x.parquet", schema=SCHEMA)
        assert joined.table.schema.names == ["key", "score", "unit"] and len(joined.table) == 0


def test_a_file_of_an_older_version_lacks_columns_and_gets_nulls(folder):
    pq.write_table(pa.table({"key": ["old"]}), folder / "000004.parquet")
    last = read(folder).table.to_pylist()[-1]
    assert last == {"key": "old", "score": None, "unit": "000004"}


def test_a_damaged_cache_is_made_anew(folder):
    read(folder)
    cache = folder.parent / "cache" / "all.parquet"
    cache.write_bytes(cache.read_bytes()[:100])
    assert read(folder).table.to_pylist() == expected(folder)


def test_a_cache_that_cannot_be_written_costs_time_only(folder, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "read-only")

    monkeypatch.setattr(module, "replacing", refuse)
    assert read(folder).table.to_pylist() == expected(folder)


def test_unfinished_files_are_no_units(folder):
    (folder / ".000007.parquet.tmp-1").write_bytes(b"half")
    (folder / ".hidden.parquet").write_bytes(b"half")
    assert len(read(folder).about) == 4
