"""The report's numbers are those that SQL counts in the ledgers; words from data arrive unharmed and cannot act."""

import json
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest

from openuni.pipelines.conclude import conclude
from openuni.pipelines.decision import Decision
from openuni.pipelines.manifest import read_passes
from openuni.pipelines.select import select
from tests.pipelines.ledger_cases import CAPTIONS, SCORE, make_ledgers

duckdb = pytest.importorskip("duckdb")

RULES = ("light.mean > 80", "missing(duration.seconds) or duration.seconds >= 6", "light.kind != 'night'")
ACCEPT = {"flow": ("flow_check.photometric < 0.6", "flow.valid_fraction > 0.2")}
SQL_RULES = (
    '"light.mean" > 80',
    '("duration.seconds" is null or "duration.seconds" >= 6)',
    "\"light.kind\" != 'night'",
)
SQL_ACCEPT = ('"flow_check.photometric" < 0.6', '"flow.valid_fraction" > 0.2')


class Page(HTMLParser):
    """Collects <data> values, histograms, texts and tags."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.numbers: dict[str, float] = {}
        self.charts: dict[str, dict[str, list[float]]] = {}
        self.tags: list[tuple[str, dict]] = []
        self.captions: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "data":
            assert attributes["data-key"] not in self.numbers, attributes
            self.numbers[attributes["data-key"]] = float(attributes["value"])
        if tag == "svg":
            parts = ("edges", "kept", "dropped")
            self.charts[attributes["data-key"]] = {
                part: [float(word) for word in attributes[f"data-{part}"].split()] for part in parts
            }
        if tag == "p" and "figcaption" in self._open:
            self.captions.append("")
        if tag not in ("meta", "img", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if self._open[-2:] == ["figcaption", "p"]:
            self.captions[-1] += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of 60 clips, concluded under three rules and two acceptance rules, and its report."""
    out = tmp_path_factory.mktemp("report") / "out"
    passes = make_ledgers(out, count=60)
    decision = Decision(preset="none", rules=RULES, accept=ACCEPT)
    base = out.parent / "videos"
    base.mkdir()
    concluded = conclude(passes, decision, select(passes.score, decision.clip_rules()), base=base)
    return out, concluded, Page((out / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sql(made):
    """The ledgers' rows as SQL tables: one joined over the stages of each pass, and the plans."""
    out = made[0]
    base = duckdb.connect()

    def table(name, stages):
        first = stages[0].name
        joins = f"'{out}/ledger/{first}/*/[0-9]*.parquet' {first}"
        columns = [f"{first}.clip_id"]
        for stage in stages:
            fixed = [
                f'{stage.name}.{word} as "{stage.name}:{word}"' for word in ("status", "reason", "error", "seconds")
            ]
            columns += fixed + [f'{stage.name}."{stage.name}.{column.name}"' for column in stage.columns]
            if stage.name != first:
                joins += f" join '{out}/ledger/{stage.name}/*/[0-9]*.parquet' {stage.name} using (clip_id)"
        columns += [f"{first}.source", f'{first}."group"']
        base.execute(f"create table {name} as select {', '.join(columns)} from {joins}")

    passes = read_passes(out)
    table("score", passes.score.stages)
    table("annotate", passes.annotate.stages)
    base.execute(f"create table plan as select * from '{out}/plan/score/[0-9]*.parquet'")
    bad = " or ".join(f"\"{stage.name}:status\" in ('drop', 'error', 'crash')" for stage in passes.score.stages)
    rules = " and ".join(f"coalesce({rule}, false)" for rule in SQL_RULES)
    base.execute(f"create table scored as select *, ({rules}) as kept from score where not ({bad})")
    accepted = " and ".join(f"coalesce({rule}, false)" for rule in SQL_ACCEPT)
    base.execute(
        f"create table there as select annotate.*, \"flow:status\" = 'ok' and ({accepted}) as flow_kept, "
        "\"rgb:status\" = 'ok' as rgb_kept from annotate join scored using (clip_id) where kept"
    )
    return base


def one(sql, query):
    return sql.execute(query).fetchone()[0] or 0


def recomputed(sql, passes) -> dict[str, float]:
    """Every number that the page should show, by its key."""
    numbers = {}
    hours = 'coalesce(sum("duration.seconds"), 0) / 3600'
    where = ["true"]
    steps = [("plan", "score"), ("scored", "scored")]
    for place, (counted, summed) in enumerate(steps):
        numbers[f"steps.{place}.clips"] = one(sql, f"select count(*) from {counted}")
        numbers[f"steps.{place}.hours"] = one(sql, f"select {hours} from {summed}")
    for place, rule in enumerate(SQL_RULES):
        where.append(f"({rule})")
        left = f"from scored where {' and '.join(where)}"
        numbers[f"steps.{place + 2}.clips"] = one(sql, f"select count(*) {left}")
        numbers[f"steps.{place + 2}.hours"] = one(sql, f"select {hours} {left}")
        against = f"not coalesce({rule}, false)"
        others = " and ".join(f"coalesce({other}, false)" for other in SQL_RULES if other != rule)
        numbers[f"rules.{place}.against"] = one(sql, f"select count(*) from scored where {against}")
        numbers[f"rules.{place}.hours"] = one(sql, f"select {hours} from scored where {against}")
        numbers[f"rules.{place}.missing"] = one(sql, f"select count(*) from scored where ({rule}) is null")
        numbers[f"rules.{place}.only"] = one(sql, f"select count(*) from scored where {against} and {others}")
    last = len(SQL_RULES) + 2
    numbers[f"steps.{last}.clips"] = one(sql, "select count(*) from there where rgb_kept")
    numbers[f"steps.{last}.hours"] = one(
        sql, 'select sum("rgb.num_frames" / "rgb.fps") / 3600 from there where rgb_kept'
    )
    numbers["waiting"] = one(
        sql, "select count(*) from scored where kept and clip_id not in (select clip_id from annotate)"
    )
    first_bad = " ".join(
        f"when \"{s.name}:status\" = 'drop' then \"{s.name}:reason\" when \"{s.name}:status\" in ('error', 'crash') "
        f"then '{s.name} ' || \"{s.name}:status\" || ': ' || \"{s.name}:reason\""
        for s in passes.score.stages
    )
    for reason, clips in sql.execute(
        f"select case {first_bad} end as why, count(*) from score group by why"
    ).fetchall():
        if reason is not None:
            numbers[f"unusable.{reason}"] = clips
    for name in ("rgb", "flow"):
        numbers[f"modalities.{name}.present"] = one(sql, f"select count(*) from there where {name}_kept")
        for reason, clips in sql.execute(
            f'select "{name}:reason", count(*) from there where "{name}:status" != \'ok\' group by all'
        ).fetchall():
            numbers[f"modalities.{name}.absent.{reason}"] = clips
    made_flow = "from there where \"flow:status\" = 'ok'"
    numbers["modalities.flow.not_accepted"] = one(
        sql, f"select count(*) {made_flow} and not coalesce(flow_kept, false)"
    )
    for text, rule in zip(ACCEPT["flow"], SQL_ACCEPT, strict=True):
        numbers[f"modalities.flow.rejected.{text}"] = one(
            sql, f"select count(*) {made_flow} and not coalesce({rule}, false)"
        )
    for table, record in (("score", passes.score), ("annotate", passes.annotate)):
        for stage in record.stages:
            name = stage.name
            for status, clips in sql.execute(f'select "{name}:status", count(*) from {table} group by all').fetchall():
                numbers[f"stages.{name}.{status}"] = clips
            numbers[f"stages.{name}.hours"] = one(sql, f'select sum("{name}:seconds") / 3600 from {table}')
            for error, clips in sql.execute(
                f'select "{name}:error", count(*) from {table} where "{name}:status" = \'error\' group by all'
            ).fetchall():
                numbers[f"errors.{name}.{error}"] = clips
    groups = sql.execute('select source, "group", count(*) from score group by all order by all').fetchall()
    for place, (source, group, _) in enumerate(groups):
        of = f"source = '{source}' and \"group\" = '{group}'"
        numbers[f"groups.{place}.scored"] = one(sql, f"select count(*) from scored where {of}")
        numbers[f"groups.{place}.selected"] = one(sql, f"select count(*) from scored where kept and {of}")
        numbers[f"groups.{place}.samples"] = one(sql, f"select count(*) from there where rgb_kept and {of}")
    return numbers | charted(sql, passes)


def charted(sql, passes) -> dict[str, float]:
    """Missing values and the counts of words."""
    numbers = {}
    for group, table, record in (("scores", "scored", passes.score), ("qualities", "there", passes.annotate)):
        for stage in record.stages:
            kept = "kept" if group == "scores" else f"{stage.modality or stage.judges}_kept"
            for column in stage.columns:
                name = f"{stage.name}.{column.name}"
                missing = one(sql, f'select count(*) from {table} where "{name}" is null')
                if missing:
                    numbers[f"{group}.{name}.missing"] = missing
                if column.unit in ("text", "bool"):
                    counts = f"count(*) filter ({kept}), count(*) filter (not {kept})"
                    query = f'select "{name}"::varchar, {counts} from {table} where "{name}" is not null group by 1'
                    for word, yes, no in sql.execute(query).fetchall():
                        numbers[f"{group}.{name}.kept.{word}"] = yes
                        numbers[f"{group}.{name}.dropped.{word}"] = no
    return numbers


def test_every_number_of_the_page_is_recomputed_from_the_ledgers_with_sql(made, sql):
    page = made[2]
    expected = recomputed(sql, read_passes(made[0]))
    assert page.numbers.keys() == expected.keys()
    for key, value in expected.items():
        assert page.numbers[key] == pytest.approx(value, rel=1e-12, abs=1e-12), key  # sums in another order


def test_every_bar_of_every_histogram_is_recomputed_from_the_ledgers_with_sql(made, sql):
    page, passes = made[2], read_passes(made[0])
    seen = set()
    for group, table, record in (("scores", "scored", passes.score), ("qualities", "there", passes.annotate)):
        for stage in record.stages:
            kept = "kept" if group == "scores" else f"coalesce({stage.modality or stage.judges}_kept, false)"
            for column in stage.columns:
                key = f"{group}.{stage.name}.{column.name}"
                if column.unit in ("text", "bool"):
                    continue
                seen.add(key)
                chart = page.charts[key]
                edges, bins = chart["edges"], len(chart["edges"]) - 1
                for part, among in (("kept", kept), ("dropped", f"not {kept}")):
                    for place in range(bins):
                        low = "true" if place == 0 else f'"{stage.name}.{column.name}" >= {edges[place]!r}'
                        high = "true" if place == bins - 1 else f'"{stage.name}.{column.name}" < {edges[place + 1]!r}'
                        count = one(
                            sql, f'select count(*) from {table} where "{stage.name}.{column.name}" is not null and '
                            f"{low} and {high} and {among}",
                        )  # fmt: skip
                        assert chart[part][place] == count, (key, part, place)
    assert page.charts.keys() == seen


def test_the_index_has_the_clips_and_maps_that_the_page_counts(made):
    out, concluded, page = made
    rows = pq.read_table(out / "index.parquet").to_pylist()
    assert len(rows) == concluded.finished.clips == page.numbers["steps.5.clips"]
    assert sum(row["flow.present"] for row in rows) == page.numbers["modalities.flow.present"]


def test_captions_arrive_unharmed_and_nothing_in_them_acts(made):
    out, _, page = made
    assert set(page.captions) >= {caption for caption in CAPTIONS if caption}
    kept = pq.read_table(out / "index.parquet")["caption"].to_pylist()
    assert set(kept) <= set(CAPTIONS)
    assert not any(tag in ("script", "iframe", "object", "link") for tag, _ in page.tags)
    assert "<b>odd" not in (out / "report.html").read_text(encoding="utf-8")


def test_the_page_needs_nothing_from_elsewhere_and_says_so_to_the_browser(made):
    page = made[2]
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv"))
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    for tag, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert not attributes.get("href") and attributes.get("src", "data:").startswith("data:")


def test_a_clip_whose_file_is_gone_has_its_reason_in_the_place_of_its_picture(made):
    assert "file_missing" in (made[0] / "report.html").read_text(encoding="utf-8")


def test_the_same_ledgers_make_the_same_page_but_for_its_date(made):
    import re

    out = made[0]
    before = (out / "report.html").read_text(encoding="utf-8")
    passes = read_passes(out)
    decision = Decision(preset="none", rules=RULES, accept=ACCEPT)
    conclude(passes, decision, select(passes.score, decision.clip_rules()), base=out.parent / "videos")
    after = (out / "report.html").read_text(encoding="utf-8")
    plain = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", text) for text in (before, after)]
    assert plain[0] == plain[1]


def test_the_manifest_says_the_rules_and_the_stages(made):
    manifest = json.loads((made[0] / "manifest.json").read_text())
    assert manifest["decision"] == {"preset": "none", "rules": list(RULES), "accept": {"flow": list(ACCEPT["flow"])}}
    assert [stage["name"] for stage in manifest["passes"]["score"]] == [stage.name for stage in SCORE]
