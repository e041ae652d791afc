"""Command line of openuni: its commands, each a file of this folder, and how they end."""

import errno
import logging
import os
import sys

import typer

from openuni import __version__
from openuni.cli.bench import bench
from openuni.cli.bench_beside import beside_command
from openuni.cli.bench_compare import compare_runs
from openuni.cli.bench_layout import layout
from openuni.cli.bench_report import report_run
from openuni.cli.bench_study import study_runs
from openuni.cli.bench_table import print_table
from openuni.cli.bench_verify import verify_bench
from openuni.cli.build import build
from openuni.cli.demo import demo
from openuni.cli.doctor import doctor
from openuni.cli.export import export
from openuni.cli.funnel import funnel
from openuni.cli.generate import generate
from openuni.cli.list import list_parts
from openuni.cli.show import show
from openuni.cli.train import train
from openuni.cli.unibench import unibench
from openuni.cli.unibench_curate import curate_build
from openuni.cli.unibench_training_set import training_set
from openuni.cli.weights import weights
from openuni.env import prepare
from openuni.errors import OpenUniError, RunFailed

INTERRUPTED = 130  # 128 + SIGINT, as shells have it

app = typer.Typer(
    name="openuni",
    help="Build the OpenUni dataset: raw video in, clips with aligned modalities in WebDataset shards out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("build")(build)
app.command("funnel")(funnel)
app.command("show")(show)
app.command("train")(train)
app.command("generate")(generate)
app.command("export")(export)
app.command("list")(list_parts)
app.command("doctor")(doctor)
app.command("demo")(demo)
app.add_typer(bench, name="bench")
app.add_typer(unibench, name="unibench")
for name, command in (
    ("layout", layout),
    ("beside", beside_command),
    ("compare", compare_runs),
    ("table", print_table),
    ("report", report_run),
    ("verify", verify_bench),
    ("study", study_runs),
):
    bench.command(name)(command)
unibench.command("curate")(curate_build)
unibench.command("training-set")(training_set)
app.add_typer(weights, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"openuni {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is done, and tracebacks of failing stages."),
) -> None:
    level = logging.DEBUG if verbose else logging.WARNING
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("openuni").setLevel(level)


def main() -> None:
    """Run the command line. Exit code 0 done, 1 the run failed, 2 the user's mistake, 130 interrupted."""
    prepare()
    try:
        app()
    except OpenUniError as error:
        _end(str(error), error.exit_code)
    except (KeyboardInterrupt, SystemExit) as ended:
        # Typer turns Ctrl-C into SystemExit(130) without a word.
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        _end("interrupted. What is committed is kept; run the same command again to go on.", INTERRUPTED)
    except OSError as error:
        if error.errno == errno.EPIPE:  # the reader of our output went away, as in `openuni list | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(RunFailed.exit_code)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _end("no space left on the device. Free some and run the same command again.", RunFailed.exit_code)
        raise


def _end(message: str, code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)
