"""`openuni list`: print what there is of one kind of part, from the tables in openuni/table.py."""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from openuni import table
from openuni.errors import UnknownName

Row = dict[str, str]


def list_parts(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="modalities, sources, filters, experts, checks, metrics, presets or models; all names if left out.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List the parts there are: scores of filters and checks, experts' licences, presets' rules, networks' sizes."""
    tables = [rows(one) for one in ALSO.get(kind, (kind,))] if kind else [list(_names())]
    if as_json:
        print(json.dumps([row for found in tables for row in found], indent=2))
        return
    for found in tables:
        _print(found)


def _print(found: list[Row]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    shown = Table()
    for number, name in enumerate(found[0] if found else ()):
        # Names are for copying: the first column is never cut.
        shown.add_column(name.replace("_", " "), no_wrap=number == 0, overflow="fold")
    for row in found:
        shown.add_row(*(escape(value) for value in row.values()))
    Console().print(shown)


def rows(kind: str) -> list[Row]:
    """Return what `openuni list KIND` prints, in the table's order.

    Args:
        kind: a key of KINDS.

    Returns:
        Rows with the same keys, all values text. Filters and checks give one row for each score column.

    Raises:
        UnknownName: there is no such kind; the message lists them.
    """
    if kind not in KINDS:
        raise UnknownName("kind of part", kind, KINDS)
    names, describe = KINDS[kind]
    return [row for name in names for row in describe(name, table.load(kind, names, name))]


def _names() -> Iterator[Row]:
    for kind, (names, _) in KINDS.items():
        yield {"kind": kind, "names": ", ".join(names)}


def _modality(name: str, part: Any) -> Iterator[Row]:
    yield {
        "modality": name,
        "prompts": "; ".join(part.wordings),
        "members": ", ".join(part.members),
        "palettes": ", ".join(part.profiles),
    }


def _source(name: str, part: Any) -> Iterator[Row]:
    yield {"source": name, "what_it_is": _first_line(part)}


def _filter(name: str, part: Any) -> Iterator[Row]:
    for column in part.columns:
        yield {
            "score": f"{part.name}.{column.name}",  # as a rule writes it
            "unit": column.unit,
            "meaning": column.meaning,
            "preset_rules": _preset_rules(f"{part.name}.{column.name}"),
        }


def _preset_rules(column: str) -> str:
    """Write the presets' rules over a column: "basic: duration.seconds >= 1; paper: duration.seconds >= 5"."""
    from openuni.rule import Rule

    found = []
    for name in table.PRESETS:
        preset = table.load("preset", table.PRESETS, name)
        texts = (*preset.rules, *(rule for rules in preset.accept.values() for rule in rules))
        found += [f"{name}: {rule}" for rule in texts if column in Rule(rule).columns]
    return "; ".join(found)


def _check(name: str, part: Any) -> Iterator[Row]:
    for column in part.columns:
        yield {
            "score": f"{part.name}.{column.name}",
            "judges": part.judges,
            "unit": column.unit,
            "meaning": column.meaning,
            "preset_rules": _preset_rules(f"{part.name}.{column.name}"),
        }


def _metric(name: str, part: Any) -> Iterator[Row]:
    yield {
        "metric": name,
        "unit": part.unit,
        "better": "higher" if part.higher_is_better else "lower",
        "averaged": part.protocol,
        "source": part.source,
    }


def _preset(name: str, part: Any) -> Iterator[Row]:
    for rule in part.rules:
        yield {"preset": name, "decides": "clip", "rule": rule}
    for modality, rules in part.accept.items():
        for rule in rules:
            yield {"preset": name, "decides": modality, "rule": rule}
    if not part.rules:
        yield {"preset": name, "decides": "", "rule": "keeps everything"}


def _model_preset(name: str, part: Any) -> Iterator[Row]:
    """A network's size and what one clip costs to train on: RGB and one map."""
    import torch

    from openuni.model.flops import tokens_of, training_flops
    from openuni.model.network import UnityVideo

    preset = part()
    with torch.device("meta"):
        network = UnityVideo(**preset.network)
    model, config = preset.model, network.arguments
    tokens = [tokens_of(config, preset.latent)] * 2
    flops = training_flops(config, tokens, prompt_tokens=preset.prompt_tokens)
    yield {
        "preset": name,
        "parameters": f"{sum(each.numel() for each in network.parameters()) / 1e6:,.1f} M",
        "clip": f"{model.num_frames}x{model.height}x{model.width}",
        "tokens": f"2 x {tokens[0]:,}",
        "tflop_per_clip": f"{flops / 1e12:,.3g}" if flops < 1e15 else f"{flops / 1e12:,.0f}",
        "starts_from": preset.init or "nothing",
    }


def _expert(name: str, part: Any) -> Iterator[Row]:
    yield {
        "expert": name,
        "modality": part.modality or "",
        "licence": part.licence,
        "needs": _needs(part.needs) + (f", or 1 GPU ({part.vram_gb:g} GB)" if hasattr(part, "vram_gb") else ""),
        "reads": ", ".join(part.reads),
        "what_it_is": _first_line(part),
    }


KINDS: dict[str, tuple[dict[str, str], Callable[[str, Any], Iterator[Row]]]] = {
    "modalities": (table.MODALITIES, _modality),
    "sources": (table.SOURCES, _source),
    "filters": (table.FILTERS, _filter),
    "experts": (table.ANNOTATORS, _expert),
    "checks": (table.CHECKS, _check),
    "metrics": (table.METRICS, _metric),
    "presets": (table.PRESETS, _preset),
    "models": (table.MODEL_PRESETS, _model_preset),
}


ALSO = {"presets": ("presets", "models")}
"""A build's presets and a network's go by one name, `--preset`: they are listed together."""


def _needs(needs: Any) -> str:
    """Write what a worker needs: "1 CPU", "2 CPU, 1 GPU (8 GB)"."""
    text = f"{needs.cpus:g} CPU"
    if needs.gpus:
        text += f", {needs.gpus:g} GPU" + (f" ({needs.vram_gb:g} GB)" if needs.vram_gb else "")
    return text


def _first_line(part: Any) -> str:
    return (inspect.getdoc(part) or "").partition("\n")[0]
