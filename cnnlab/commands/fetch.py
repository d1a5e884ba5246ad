"""``cnnlab fetch``: a public dataset, downloaded into ``data/raw``."""

import sys

import click


@click.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download the dataset NAME: clothing, flowers, cifar10 or fashion_mnist.

    It is unpacked into data/raw/NAME and from then on a name for --data. Of clothing and flowers a
    download that was cut goes on at the next call, and every image is checked. A dataset that is
    there is left as it is.
    """
    from cnnlab.data.public import fetch as fetching

    folder = fetching.fetch(name, progress=sys.stdout.isatty())
    click.echo(f"{folder}\nTrain on it with: cnnlab run --data {name}")
