"""``crbench list`` and ``crbench describe``: what exists."""

from __future__ import annotations

import click

from bench.commands.options import NO_CODE

KINDS = ["metrics", "probes", "attacks", "steps", "models", "methods", "loaders", "sources", "runtimes"]


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS))
def list_(kind: str) -> int:
    """List what exists: metrics, probes, attacks, steps, models, uncertainty methods, loaders, sources, runtimes."""
    from bench.suite.registered_names import list_names

    rows = list_names(kind)
    width = max(len(name) for name, _ in rows)
    for name, summary in rows:
        click.echo(f"{name:<{width}}  {summary}")
    return 0


@click.command()
@click.argument("name")
@NO_CODE
def describe(name: str) -> int:
    """Parameters, units, values and source of a registered name: a metric, step, model, method, loader and so on."""
    from bench.suite.registered_names import describe as describe_name
    from bench.suite.registered_names import kinds_of

    click.echo("\n\n".join(describe_name(kind, name) for kind in kinds_of(name)))
    return 0
