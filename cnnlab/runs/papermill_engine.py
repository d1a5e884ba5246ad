"""How papermill executes one notebook here: with progress, whole files and a quiet kernel."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook
from papermill.iorw import LocalHandler, papermill_io
from traitlets.config import Config

from cnnlab import files
from cnnlab.runs.progress import Progress

__all__ = ["WHOLE_FILES", "DeadKernelError", "PapermillExecutionError", "call"]


class _ReportingClient(PapermillNotebookClient):
    """Papermill's client, telling ``progress`` what a running cell prints or rewrites."""

    progress: Progress

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        content = msg["content"]
        if msg["msg_type"] == "stream" and content["name"] == "stdout":
            self.progress.say(content["text"])
        elif content.get("data", {}).keys() == {"text/plain"} and content.get("transient"):
            self.progress.say(content["data"]["text/plain"])  # a line that is rewritten in place
        return super().process_message(msg, cell, cell_index)


class _WholeFiles(LocalHandler):
    """How papermill writes a notebook: whole or not at all, while it is executed, too."""

    def write(self, buf: str, path: str) -> None:
        files.write(Path(path), buf, durable=False)


WHOLE_FILES = _WholeFiles()


class _ReportingEngine(NBClientEngine):
    """Papermill's engine, telling ``progress`` of every cell and of what happens inside it."""

    @classmethod
    def execute_managed_notebook(  # type: ignore[override, unused-ignore]
        cls, nb_man: Any, kernel_name: str, progress: Progress, start_timeout: int, **kwargs: Any
    ) -> Any:
        complete = nb_man.cell_complete

        def cell_complete(*args: Any, **kwargs: Any) -> None:
            complete(*args, **kwargs)
            progress.advance()

        nb_man.cell_complete = cell_complete
        given = {name: kwargs[name] for name in ("extra_arguments", "config")}
        client = _ReportingClient(
            nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, timeout=None, **given
        )
        client.progress = progress
        return client.execute()


def call(parameters: dict[str, Any], source: Path, target: Path, progress: Progress) -> None:
    """Execute a notebook, in its own folder, into another file.

    Args:
        parameters: What its cell of parameters gets.
        source: The notebook.
        target: Where it is written, after each cell.
        progress: Is told of every cell and of what it prints.

    Raises:
        PapermillExecutionError: A cell raised.
        DeadKernelError: The kernel died.
    """
    papermill_engines.register("cnnlab", _ReportingEngine)
    if papermill_io.get_handler(str(target)) is not WHOLE_FILES:
        papermill_io.register(target.anchor, WHOLE_FILES)
    with _silent("papermill"):  # what went wrong is said once, by NotebookFailed
        execute_notebook(
            source,
            target,
            parameters=parameters,
            engine_name="cnnlab",
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=source.parent,
            start_timeout=300,  # a cold disk under load
            progress=progress,
            # Notes of the kernel about itself; those of the cells are in the notebook.
            extra_arguments=["--log-level=CRITICAL"],
            config=_kernel_config(),
        )


def _kernel_config() -> Config:
    """Encrypt the loopback connection to the kernel where ZeroMQ can; ipykernel warns otherwise."""
    encryption = "auto" if zmq.has("curve") else "disabled"
    return Config({"KernelManager": {"transport_encryption": encryption}})


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a logger and its children quiet for the length of a block."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
