"""The command line: commands and exit codes. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from bench import __version__
from bench.commands.diff import diff
from bench.commands.export import export
from bench.commands.history import history
from bench.commands.lipschitz import lipschitz
from bench.commands.registered import describe, list_
from bench.commands.regression import baseline, compare, gate
from bench.commands.report import report
from bench.commands.store import gc, why
from bench.commands.streams import guard_streams
from bench.commands.suite import check, run
from bench.commands.weights import convert, weights
from bench.commands.why_diverged import why_diverged
from bench.exit_codes import ExitCode, worst
from bench.interrupts import ENDING, is_real, watched


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="crbench")
def cli() -> None:
    """Is a compressed network still the same function where trust matters?"""


for command in (
    run, check, diff, why_diverged, lipschitz, compare, gate, baseline, report, history, export, list_, describe, why,
    gc, weights, convert,
):  # fmt: skip
    cli.add_command(command)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point: exit codes 0 pass, 1 regression, 2 usage, 3 incomplete, 4 internal.

    A reader of standard output that has seen enough changes none; one that could not be written ends as an interrupted
    run does, after everything else was done.
    """
    out, _ = guard_streams()
    code = run_cli(arguments)
    sys.stdout.flush()
    if out.lost:
        click.echo(f"crbench: standard output cannot be written: {out.lost}; the rest is done and stored", err=True)
        code = worst((ExitCode(code), ExitCode.INCOMPLETE))
    sys.stderr.flush()
    sys.exit(code)


def run_cli(arguments: list[str] | None = None) -> int:
    """Run the command line and answer its exit code; a user's mistake is one line each on standard error."""
    if "OMP_WAIT_POLICY" not in os.environ:
        # threads that spin for long at a barrier make small networks 20 times slower where others use the cores too
        os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")
    with watched(*ENDING) as came:
        code = _run(arguments)
    if came and code != ExitCode.INCOMPLETE:  # code from outside caught the interrupt
        return _interrupted(came[0])
    return code


def _run(arguments: list[str] | None) -> int:
    try:
        return int(cli.main(args=arguments, prog_name="crbench", standalone_mode=False) or ExitCode.PASS)
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error.__cause__ if isinstance(error, click.Abort) else error  # click's name for an interrupt
        return _interrupted(str(cause)) if cause is None or is_real(cause) else _ended(cause)
    except Exception as error:
        from bench.errors import UserError

        if isinstance(error, UserError):
            for problem in error.problems:
                click.echo(f"crbench: {problem}", err=True)
            return ExitCode.USAGE
        import traceback

        traceback.print_exc()
        click.echo("crbench: internal error; please report it with the lines above", err=True)
        return ExitCode.INTERNAL
    except BaseException as error:  # code from outside that ends the program must not end in a pass
        return _ended(error)


def _interrupted(name: str) -> int:
    """An interrupt from outside, in one line."""
    by = f" by {name}" if name in ("SIGTERM", "SIGHUP") else ""
    text = f"crbench: interrupted{by}; what was measured is stored, the same command goes on from there"
    click.echo(text, err=True)
    return ExitCode.INCOMPLETE


def _ended(error: BaseException) -> int:
    """Code from outside that raised what ends a program, in one line."""
    shown = " ".join(repr(error).split())[:200]
    click.echo(f"crbench: code that was loaded ended the program with {shown}: no result", err=True)
    return ExitCode.USAGE
