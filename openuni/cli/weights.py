"""`openuni weights`: which experts there are, their files and licences, what is here and what gets the rest; verify."""

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from openuni.cli.options import Weights
from openuni.errors import BadInput, UnknownName

weights = typer.Typer(
    help="List the experts' weights: files, licences, what is here, what gets the rest.", no_args_is_help=False
)

Profile = Annotated[
    str | None, typer.Option(help="Only the experts of a set: paper, best, commercial.", show_default=False)
]


@weights.callback(invoke_without_command=True)
def listing(
    context: typer.Context,
    weights: Weights = None,
    profile: Profile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list of objects.")] = False,
) -> None:
    """List the experts' weights: files, licences, what is here, what gets the rest."""
    if context.invoked_subcommand is not None:
        given = [name for name, value in (("--weights", weights), ("--profile", profile)) if value]
        if given or as_json:
            raise BadInput(f"Write {' '.join(given) or '--json'} behind {context.invoked_subcommand}.")
        return
    found = list(rows(_wanted(profile), None if weights is None else str(weights)))
    if as_json:
        print(json.dumps(found, indent=2))
        return
    _print(found)


@weights.command("verify")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXPERT]...", help="Experts. [default: all here]")
    ] = None,
    weights: Weights = None,
    profile: Profile = None,
) -> None:
    """Run experts on a rendered clip and compare with the truth; exit 1 if a result is out of its range."""
    from openuni.annotators.weights import missing_packages, state_of
    from openuni.benchmark.verify_experts import verify as run_verify
    from openuni.table import ANNOTATORS, load

    folder = None if weights is None else str(weights)
    chosen = names or _wanted(profile)
    for name in names or ():
        if name not in ANNOTATORS:
            raise UnknownName("expert", name, ANNOTATORS)
    if not names:
        from openuni.annotators.experts import EXPERTS

        here = [one for one in chosen if state_of(one, folder).found and not missing_packages(EXPERTS[one])]
        chosen = [one for one in here if one in ANNOTATORS and load("expert", ANNOTATORS, one).alone]
        if not chosen:
            raise BadInput("No expert's weights are here. openuni weights says where they belong and what gets them.")
    verdicts = run_verify(chosen, folder)
    for one in verdicts:
        value = "-" if one.value is None else f"{one.value:.3g}"
        print(f"{'ok ' if one.ok else 'BAD'} {one.expert}: {one.metric} {value} (bound {one.bound:.3g})")
        if one.said:
            print(f"    {one.said}", file=sys.stderr)
    bad = [one.expert for one in verdicts if not one.ok]
    if bad:
        print(f"{len(bad)} of {len(verdicts)} experts are out of range: {', '.join(bad)}")
        raise typer.Exit(1)
    print(f"{len(verdicts)} experts are within their ranges.")


def rows(names: list[str], weights: str | None) -> Iterator[dict[str, Any]]:
    """Yield what `openuni weights` prints, a dict for each expert.

    Args:
        names: keys of EXPERTS.
        weights: the folder of --weights.
    """
    from openuni.annotators.experts import EXPERTS
    from openuni.annotators.weights import missing_packages, state_of

    for name in names:
        expert = EXPERTS[name]
        state = state_of(name, weights)
        yield {
            "expert": name,
            "makes": expert.modality,
            "state": state.word,
            "place": str(state.found.folder) if state.found else f"{weights or 'DIR'}/{expert.place}",
            "files": [
                {"name": file.name, "also": list(file.also), "size_mb": file.size_mb, "sha256": file.sha256}
                for file in expert.files
            ],
            "other_version": list(state.other),
            "uses": list(expert.uses),
            "needs": [f"{module} ({expert.package})" for module in missing_packages(expert)],
            "licence": expert.terms,
            "commercial": expert.commercial,
            "command": expert.command(weights or "DIR"),
        }


def _wanted(profile: str | None) -> list[str]:
    """Names of EXPERTS: all, or those of a set of experts with what they use."""
    from openuni.annotators.experts import EXPERTS, PROFILES
    from openuni.table import EXPERT_SETS

    if profile is None:
        return list(EXPERTS)
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    members = [name for name in EXPERT_SETS[profile] if name in EXPERTS]
    return list(dict.fromkeys(one for name in members for one in (name, *EXPERTS[name].uses)))


def _print(found: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("expert", "makes", "state", "MB", "commercial", "licence")
    for number, column in enumerate(table.columns):
        column.no_wrap, column.overflow = number < 3, "fold"
    for row in found:
        sizes = [file["size_mb"] for file in row["files"] if file["size_mb"] is not None]
        size = f"{sum(sizes):,.0f}" if sizes else "?"
        licence = row["licence"].partition(" (read at")[0]
        cells = (row["expert"], row["makes"], row["state"], size, "yes" if row["commercial"] else "no", licence)
        table.add_row(*map(escape, cells))
    console = Console()
    console.print(table)
    # Below the table and unwrapped, so that places and commands can be copied.
    for row in found:
        lines = [f"{row['expert']}: {row['state']}, {row['place']}"]
        lines += [f"  another version than the published: {name}" for name in row["other_version"]]
        lines += [f"  {one['name']}: SHA-256 {one['sha256']}..." for one in row["files"] if one["sha256"]]
        lines += [f"  licence {row['licence']}"] if "read at" in row["licence"] else []
        lines += [f"  uses {', '.join(row['uses'])}"] if row["uses"] else []
        lines += [f"  needs {need}" for need in row["needs"]]
        lines += [f"  {row['command']}"] if row["state"] == "missing" else []
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    present = sum(row["state"] != "missing" for row in found)
    print(f"{present} of {len(found)} are here. Looked in --weights, $OPENUNI_WEIGHTS and the libraries' caches.")
