"""``crbench weights`` and ``crbench convert``: weights written to files."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.options import DEVICE, NO_CODE, QUIET, STORE
from bench.commands.showing import with_progress


@click.command()
@click.argument("suite", type=click.Path(path_type=Path))
@STORE
@DEVICE
@NO_CODE
@click.option("--variants", is_flag=True, help="Leave the reference and the yardsticks as they are.")
@QUIET
def weights(suite: Path, store: str, device: str, variants: bool, quiet: bool) -> int:
    """Write SUITE's trained networks into the folders that its reference.weights and equivalent.weights name.

    The reference and the yardsticks; each network of a pool, and of a variant that a step trains, if it is not there:
    a step that trains makes another network on another processor, and a baseline holds for kept ones alone.
    """
    from bench.engine.run import Progress
    from bench.study import write_weights

    def write(progress: Progress) -> list[tuple[Path, int]]:
        return write_weights(suite, store, device, progress, variants_alone=variants)

    written = with_progress(write, quiet=quiet)
    for path, size in written:
        click.echo(f"{path}  {size / 1e6:.2f} MB")
    return 0


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Default: beside it, with suffix .safetensors.")
@click.option("--key", default="", help="Where the weights lie, for a checkpoint that holds several.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def convert(checkpoint: Path, out: Path | None, key: str, force: bool) -> int:
    """Write the weights of a torch.save CHECKPOINT as safetensors; it is read in a process of its own."""
    from bench.outside_networks.convert import convert as convert_checkpoint

    written = convert_checkpoint(checkpoint, out, force=force, key=key)
    source = f", out of {written.unwrapped}" if written.unwrapped else ""
    click.echo(f"{written.path}: {written.tensors} tensors, {written.parameters} values{source}")
    return 0
