"""`openuni bench layout`: where predictions made elsewhere belong, and whether a folder of them is whole."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def layout(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of predictions to check; needs --data.", show_default=False)
    ] = None,
    suite: Annotated[list[str] | None, typer.Option(help="Suite; may be repeated. [default: all]")] = None,
    data: Annotated[Path | None, typer.Option(help="The clips that were asked about.", show_default=False)] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="File of prompts. [default: our own 100]", show_default=False)
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Answers for each question. [default: 1; 5 for a prompt]", min=1)
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="How files are read: 'model.rendering=own'.", show_default=False)
    ] = None,
) -> None:
    """Print the layout of a folder of predictions, or check one. Exit code 1 if a prediction is missing or wrong."""
    from openuni.benchmark.preds.check import check_folder
    from openuni.benchmark.preds.generator import Predictions
    from openuni.benchmark.preds.layout import describe
    from openuni.benchmark.suite import make_suite
    from openuni.config import configured, parse_settings, refuse_unknown_parts
    from openuni.errors import BadInput
    from openuni.generator import PART
    from openuni.table import SUITES

    suites = [make_suite(name) for name in suite or SUITES]
    if not suite and data is not None and prompts is None:  # as the bench does
        suites = [one for one in suites if not (one.prompted or getattr(one, "named_only", False))]
    sources = [(one, prompts if one.prompted else data) for one in suites]
    refusals = {one.name: one.refuses(source) for one, source in sources}
    usable = [(one, source) for one, source in sources if not refusals[one.name]]
    if not usable or (suite and folder is not None and len(usable) < len(sources)):
        raise BadInput("; ".join(f"{name}: {why}" for name, why in refusals.items() if why))
    if folder is None:
        names: dict[tuple[str, str], list[str]] = {}
        for one, source in sources:
            known = [] if refusals[one.name] else [item.sample for item in one.items(source)]
            names |= {pair: known for pair in one.pairs if not names.get(pair)}
        typer.echo(describe(names))
        return
    if data is None and not all(one.prompted for one in suites):
        raise BadInput("Give --data DIR, the clips that the predictions are of, or --suite NAME of a suite of prompts.")
    settings = parse_settings(set_ or ())
    refuse_unknown_parts(settings, [PART])
    predictions = configured(Predictions, settings.get(PART, {}), part=PART, folder=str(folder))
    counts: Counter[str] = Counter()
    for fault in check_folder(predictions, usable, samples=samples, counts=counts):
        typer.echo(f"{fault.kind:8}{fault.question}: {fault.what}")
    rest = ", ".join(f"{counts[kind]:,} {kind}" for kind in ("missing", "wrong", "nan", "extra") if counts[kind])
    typer.echo(f"{counts['ok']:,} of {counts['questions']:,} predictions are in order{'; ' if rest else ''}{rest}")
    absent = sorted({pair for one, _ in usable for pair in one.pairs} - set(predictions.capabilities()))
    if absent:
        typer.echo("no folder for " + ", ".join(f"{task}-{modality}" for task, modality in absent))
    if counts["missing"] or counts["wrong"] or not counts["questions"]:
        raise typer.Exit(1)
