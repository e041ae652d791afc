"""Parts of a build by name: its source, filters, experts and checks, with the user's settings applied."""

from collections.abc import Sequence
from pathlib import Path

from openuni.annotators.expert import ExpertStage, make_stage
from openuni.annotators.weights import check_commercial
from openuni.config import Settings, configured
from openuni.engine.stage import Stage
from openuni.errors import BadInput, UnknownName
from openuni.pipelines.caption_local import check_vllm
from openuni.pipelines.captions import LOCAL, NAME, Captions
from openuni.pipelines.sources.base import Source
from openuni.table import ANNOTATORS, CHECKS, EXPERT_SETS, FILTERS, SOURCES, load


def make_source(name: str, root: Path | None, settings: Settings) -> Source:
    """Return the source called `name`, its options set from `--set source.option=value`."""
    source: Source = configured(load("source", SOURCES, name), settings.get("source", {}), part="source", root=root)
    return source


def make_filters(names: Sequence[str], settings: Settings, weights: str | None = None) -> tuple[Stage, ...]:
    """Return the filters that `--filters` names, in the order of FILTERS; `duration` is always among them.

    Args:
        names: names in FILTERS, or "all": all that need no weights of the user's.
        settings: `--set filter.parameter=value`.
        weights: the folder of --weights.

    Raises:
        UnknownName: there is no filter of a name.
        MissingWeights: a filter's weights are not there.
    """
    for name in names:
        if name not in FILTERS and name != "all":
            raise UnknownName("filter", name, ["all", *FILTERS])
    classes = {name: load("filter", FILTERS, name) for name in FILTERS}
    chosen = [
        name
        for name, cls in classes.items()
        if name in (*names, "duration") or ("all" in names and not issubclass(cls, ExpertStage))
    ]
    return tuple(make_stage(classes[name], settings.get(name, {}), weights, part=name) for name in chosen)


def make_experts(names: Sequence[str], settings: Settings, weights: str | None = None) -> tuple[Stage, ...]:
    """Return the experts that `--experts` names, each behind those that it reads.

    Args:
        names: names in EXPERT_SETS or ANNOTATORS; a later one replaces an earlier one of the same modality.
        settings: applied by modality: `--set flow.parameter=value`.
        weights: the folder of --weights.

    Raises:
        UnknownName: a name is in neither table.
        BadInput: an expert reads a modality that no chosen expert makes; `commercial` is named beside an expert whose
            licence forbids commercial use or was not read.
        MissingWeights: an expert's weights are not there.
    """
    chosen: dict[str, type[Stage]] = {}
    for name in names:
        if name not in EXPERT_SETS and name not in ANNOTATORS:
            raise UnknownName("expert", name, [*EXPERT_SETS, *ANNOTATORS])
        for expert in EXPERT_SETS.get(name, (name,)):
            cls = load("expert", ANNOTATORS, expert)
            chosen[cls.name] = cls
    if "commercial" in names:
        check_commercial([cls.expert for cls in chosen.values()])
    made = {name: make_stage(cls, settings.get(name, {}), weights, part=name) for name, cls in chosen.items()}
    if "commercial" in names:  # again, since settings may name other networks
        check_commercial(one for stage in made.values() if isinstance(stage, ExpertStage) for one in stage.needed())
    ordered: list[str] = []
    while len(ordered) < len(made):
        ready = [name for name, one in made.items() if name not in ordered and set(one.reads) <= set(ordered)]
        if not ready:
            name, one = next((name, one) for name, one in made.items() if name not in ordered)
            missing = sorted(set(one.reads) - set(made)) or sorted(one.reads)
            raise BadInput(
                f"Expert {one.expert} ({name}) reads {', '.join(missing)}; add an expert for it to --experts."
            )
        ordered.append(ready[0])
    return tuple(made[name] for name in ordered)


def make_checks(experts: Sequence[Stage], settings: Settings) -> tuple[Stage, ...]:
    """Return every check whose maps the chosen experts make, in the order of CHECKS."""
    made = {stage.name for stage in experts}
    classes = {name: load("check", CHECKS, name) for name in CHECKS}
    chosen = {name: cls for name, cls in classes.items() if {cls.judges, *cls.reads} <= made}
    return tuple(configured(cls, settings.get(name, {}), part=name) for name, cls in chosen.items())


def make_captions(url: str | None, model: str | None, settings: Settings) -> tuple[Stage, ...]:
    """Return the stage that asks for captions, or none where no endpoint is named.

    Args:
        url: --caption-url.
        model: --caption-model.
        settings: `--set caption.parameter=value`.

    Raises:
        BadInput: only one of the two is given, the address cannot be used, or vLLM is asked for and not installed.
    """
    if url is None and model is None:
        return ()
    if url == LOCAL:
        check_vllm()
    stage: Stage = configured(Captions, settings.get(NAME, {}), part=NAME, url=url or "", model=model or "")
    return (stage,)
