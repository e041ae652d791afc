"""Dataset card: README.md with Hugging Face front matter, and croissant.json, both made from the ledgers.

Front matter: the fields of Hugging Face's dataset cards (huggingface/hub-docs, datasetcard.md). Croissant: the JSON-LD
vocabulary of MLCommons, version 1.0 (docs.mlcommons.org/croissant), checked with mlcroissant in the tests.
"""

import html
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from openuni.engine.atomic import sha256_of, write_bytes
from openuni.engine.record import StageRecord
from openuni.pipelines.finish import Annotated, Finished
from openuni.pipelines.funnel import Funnel
from openuni.pipelines.manifest import Passes
from openuni.sample import INDEX

CARD = "README.md"
CROISSANT = "croissant.json"
TASKS = {
    "rgb": "text-to-video",
    "depth": "depth-estimation",
    "segmentation": "mask-generation",
    "skeleton": "keypoint-detection",
}
"""Modality -> Hugging Face's task; optical flow and DensePose have none and become tags."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""Samples below -> Hugging Face's size category; above all: 1M<n<10M."""

LAYOUT = """\
| file | what |
|---|---|
| `index.parquet` | a row per sample: caption, source, licence, split; of each modality present, reason, place, scores |
| `shards/<modality>/<fingerprint>/<unit>.tar` | WebDataset: the same keys in the same order for every modality |
| `ledger/`, `plan/` | what each stage did to each clip, dropped clips included |
| `manifest.json` | the stages with versions and parameters, the rules, SHA-256 of every shard |
| `report.html` | the funnel |

```python
from openuni.dataset import OpenUniDataset

sample = OpenUniDataset(".", split="train")[0]  # a modality that a clip does not have is a missing key
```

`webdataset` reads the tars without openuni; a modality that is absent there is a json with the reason.
"""


def write_card(passes: Passes, funnel: Funnel, there: Annotated, finished: Finished) -> None:
    """Write README.md and croissant.json into the build's folder.

    Args:
        passes: the live stages.
        funnel: its numbers.
        there: the annotated clips that are selected.
        finished: what the index holds; it is written already.
    """
    out = passes.score.out
    licences = _licences(there)
    write_bytes(out / CARD, card(passes, funnel, licences, finished).encode(), durable=False)
    described = croissant(out, passes, licences, finished)
    write_bytes(out / CROISSANT, json.dumps(described, indent=2, ensure_ascii=False).encode() + b"\n", durable=False)


def card(passes: Passes, funnel: Funnel, licences: Sequence[tuple[str, str, int]], finished: Finished) -> str:
    """Return README.md."""
    front = _front_matter(passes, licences, finished)
    name = _plain(passes.score.out.name)
    samples = f"{finished.clips:,} clips, {finished.hours:,.2f} hours, with captions and aligned maps."
    sections = [
        f"# {name}\n\n{samples} Made by `openuni build`; `report.html` shows the whole funnel.",
        "## Sources and licences\n\n" + _licence_lines(licences),
        "## Modalities\n\n" + _modality_table(passes.annotate.stages, funnel),
        "## What was kept\n\n" + _funnel_table(funnel),
        "## What is where\n\n" + LAYOUT.rstrip(),
    ]
    return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(passes: Passes, licences: Sequence[tuple[str, str, int]], finished: Finished) -> str:
    import yaml

    made = [stage.modality for stage in passes.annotate.stages if stage.modality]
    names = sorted({licence for _, licence, _ in licences if licence})
    configs: list[dict[str, Any]] = [{"config_name": "index", "data_files": INDEX, "default": True}]
    for stage in passes.annotate.stages:
        if stage.modality:
            pattern = f"shards/{stage.modality}/{stage.fingerprint}/*.tar"
            configs.append({"config_name": stage.modality, "data_files": pattern})
    front = {
        "pretty_name": passes.score.out.name,
        "license": "other",  # terms differ from source to source and from expert to expert
        "license_name": "per-source",
        "license_details": "; ".join(names),
        "size_categories": [next((word for below, word in SIZES if finished.clips < below), "1M<n<10M")],
        "task_categories": [TASKS[name] for name in made if name in TASKS],
        "tags": ["openuni", "video", "webdataset", "croissant", *(name for name in made if name != "rgb")],
        "configs": configs,
    }
    text: str = yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=1000)
    return text


def _licences(there: Annotated) -> list[tuple[str, str, int]]:
    """Return (source, licence, samples), sorted; licence is empty where the source tells none."""
    chosen = there.clips.filter(there.verdicts["rgb"].present).select(["source", "licence"])
    counts = chosen.group_by(["source", "licence"]).aggregate([([], "count_all")]).to_pylist()
    return sorted((row["source"], row["licence"], row["count_all"]) for row in counts)


def _licence_lines(licences: Iterable[tuple[str, str, int]]) -> str:
    lines = [
        f"- **{_plain(source)}** ({clips:,} clips): {_plain(licence) or 'licence not told by the source'}"
        for source, licence, clips in licences
    ]
    return "\n".join(
        [*lines, "", "Labels are made by the experts below, whose weights and code have terms of their own."]
    )


def _modality_table(stages: Sequence[StageRecord], funnel: Funnel) -> str:
    by_modality = {row.modality: row for row in funnel.modalities}
    lines = ["| modality | expert | version | licence | weights | present | absent |", "|---|---|---|---|---|---|---|"]
    for stage in stages:
        if stage.modality is None:
            continue
        row = by_modality[stage.modality]
        reasons = [f"{clips:,} {_plain(reason)}" for reason, clips in row.absent.most_common()]
        reasons += [f"{row.not_accepted:,} not accepted"] if row.not_accepted else []
        weights = f"`{stage.weights_sha256[:12]}`" if stage.weights_sha256 else "none"
        cells = (stage.modality, stage.expert or "the frames", stage.version, _plain(stage.licence) or "-", weights)
        lines.append(f"| {' | '.join(cells)} | {row.present:,} | {', '.join(reasons) or '-'} |")
    accepting = [f"- {row.modality}: `{rule}`" for row in funnel.modalities for rule in row.rejected]
    return "\n".join(lines) + ("\n\nA map is kept if\n\n" + "\n".join(accepting) if accepting else "")


def _funnel_table(funnel: Funnel) -> str:
    rules = {row.rule: row for row in funnel.rules}
    lines = ["| step | clips left | hours | dropped by this rule alone |", "|---|---|---|---|"]
    for step in funnel.steps:
        row = rules.get(step.name)
        name = f"`{step.name}`".replace("|", "\\|") if row else step.name
        lines.append(f"| {name} | {step.clips:,} | {step.hours:,.2f} | {row.against if row else ''} |")
    unusable = [f"- {clips:,} clips: {_plain(reason)}" for reason, clips in funnel.unusable.most_common()]
    return "\n".join(lines) + ("\n\nNot scored:\n\n" + "\n".join(unusable) if unusable else "")


def croissant(
    out: Path, passes: Passes, licences: Sequence[tuple[str, str, int]], finished: Finished
) -> dict[str, Any]:
    """Return the Croissant description: the index as a file and a record set, each modality's shards as a file set."""
    index = out / INDEX
    files: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": INDEX,
            "name": INDEX,
            "contentUrl": INDEX,
            "contentSize": f"{index.stat().st_size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": sha256_of(index),
        }
    ]
    for stage in passes.annotate.stages:
        if stage.modality:
            files.append(
                {
                    "@type": "cr:FileSet",
                    "@id": f"shards-{stage.modality}",
                    "name": f"shards-{stage.modality}",
                    "description": f"{stage.modality}: WebDataset tars with the same keys as index.parquet.",
                    "encodingFormat": "application/x-tar",
                    "includes": f"shards/{stage.modality}/{stage.fingerprint}/*.tar",
                }
            )
    words = sorted({licence for _, licence, _ in licences if licence})
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": out.name,
        "description": f"{finished.clips} video clips with captions and aligned maps, made by openuni build.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": words or ["not told by the sources"],
        "version": "1.0.0",
        "datePublished": time.strftime("%Y-%m-%d", time.gmtime()),
        "distribution": files,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "samples",
                "name": "samples",
                "key": {"@id": "samples/key"},
                "field": list(_fields(pq.read_schema(index))),
            }
        ],
    }


def _fields(schema: pa.Schema) -> Iterable[Mapping[str, Any]]:
    kinds = {"string": "sc:Text", "bool": "sc:Boolean", "int64": "sc:Integer", "double": "sc:Float"}
    for column in schema:
        source = {"fileObject": {"@id": INDEX}, "extract": {"column": column.name}}
        yield {
            "@type": "cr:Field",
            "@id": f"samples/{column.name}",
            "name": column.name,
            "dataType": kinds[str(column.type)],
            "source": source,
        }


def _plain(text: str) -> str:
    """Make data harmless in Markdown: one line, no HTML, no table bars, no marks."""
    line = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{char}" if char in "\\`*_[]|#" else char for char in line)


CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The JSON-LD context that Croissant 1.0 prescribes."""
