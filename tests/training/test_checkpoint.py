"""Checkpoints: exact, sealed, two in turn, and used by no other training."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnlab import files
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.training import checkpoint
from cnnlab.training.checkpoint import Progress


def network(units: int = 3, fill: float = 0.5, rate: float = 0.01) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((4,), name="x"), keras.layers.Dense(units, name="dense")], name="small"
    )
    model.set_weights([np.full_like(weight, fill) for weight in model.get_weights()])
    model.compile(optimizer=keras.optimizers.Adam(rate, name="adam"), loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def disturb(model: keras.Model, seed: int) -> None:
    """Give every variable of the model and of its optimizer another value."""
    random = np.random.default_rng(seed)
    model.set_weights([random.normal(size=each.shape) for each in model.get_weights()])
    for each in model.optimizer.variables:
        each.assign((random.normal(size=each.shape) * 100).astype(each.dtype))


def state(model: keras.Model) -> list[bytes]:
    return [np.asarray(each).tobytes() for each in [*model.weights, *model.optimizer.variables]]


def progress(model: keras.Model, epochs: int, **options: Any) -> Progress:
    """What ``fit`` saves of a model after so many epochs."""
    optimizer = [np.asarray(each) for each in model.optimizer.variables]
    return Progress(rows(epochs), model.get_weights(), optimizer, **options)


def load(folder: Path, model: keras.Model, mark: str) -> Progress | None:
    """Load what was saved into a model, if something was."""
    found = checkpoint.load(folder, mark)
    if found:
        model.set_weights(found.weights)
        for variable, value in zip(model.optimizer.variables, found.optimizer, strict=True):
            variable.assign(value)
    return found


def rows(count: int) -> list[dict[str, Any]]:
    return [{"epoch": epoch, "validation_loss": 1 / (3 * epoch)} for epoch in range(1, count + 1)]


def save(folder: Path, epoch: int, mark: str = "mine") -> list[bytes]:
    """Save some state after ``epoch`` and return it."""
    model = network()
    disturb(model, epoch)
    checkpoint.save(folder, progress(model, epoch, seconds=1.5), mark)
    return state(model)


def test_everything_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model, other = network(), network()
    disturb(model, 1)
    best = [np.full((4, 3), 1e-45, np.float32), np.array([np.pi, -0.0, 3], np.float32)]
    average = [*best, np.array(7)]
    folder = tmp_path / "made" / "here"
    saved = progress(model, 3, average=average, best=best, seconds=0.1 + 0.2)
    checkpoint.save(folder, saved, "mine")
    found = load(folder, other, "mine")
    assert found is not None
    assert state(other) == state(model)
    assert (found.rows, found.seconds) == (rows(3), 0.1 + 0.2)
    assert [each.tobytes() for each in found.best] == [each.tobytes() for each in best]
    assert [each.tobytes() for each in found.average] == [each.tobytes() for each in average]
    assert [each.tobytes() for each in found.judged] == [each.tobytes() for each in best]
    assert [each.name for each in folder.iterdir()] == ["checkpoint-1.npz"]


def test_the_file_is_a_plain_archive_without_pickles(tmp_path: Path) -> None:
    save(tmp_path, 1)
    with np.load(tmp_path / "checkpoint-1.npz", allow_pickle=False) as archive:
        assert {name: archive[name].shape for name in archive.files if name != "record"} == {
            "weights-0000": (4, 3), "weights-0001": (3,),
            "optimizer-0000": (), "optimizer-0001": (),  # the iteration, the learning rate
            "optimizer-0002": (4, 3), "optimizer-0003": (4, 3),
            "optimizer-0004": (3,), "optimizer-0005": (3,),
        }  # fmt: skip


def test_the_newest_of_two_is_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for epoch in (1, 2, 3, 4):
        expected = save(tmp_path, epoch)
        model = network()
        found = load(tmp_path, model, "mine")
        assert found is not None
        assert (len(found.rows), state(model)) == (epoch, expected)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"Epochs 1 to 4 come from {tmp_path.name}/checkpoint-0.npz."
    assert sorted(each.name for each in tmp_path.iterdir()) == list(checkpoint.SLOTS)


def flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 1 << position % 8
    return bytes(changed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:64],
        lambda content: flipped(content, len(content) // 2),
        lambda content: flipped(content, len(content) - 1),
        lambda content: content + b"\0",
        lambda content: bytes(len(content)),
    ],
    ids=["empty", "one byte", "half", "the first 64", "a bit", "the seal", "longer", "zeros"],
)
def test_a_damaged_file_is_refused_and_the_one_before_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: Any
) -> None:
    expected = save(tmp_path, 2)
    save(tmp_path, 3)
    newest, model = tmp_path / "checkpoint-1.npz", network()
    newest.write_bytes(damage(newest.read_bytes()))
    found = load(tmp_path, model, "mine")
    assert found is not None
    assert (len(found.rows), state(model)) == (2, expected)
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path.name}/checkpoint-1.npz is damaged: its SHA-256 is another. It is not used.",
        f"Epochs 1 to 2 come from {tmp_path.name}/checkpoint-0.npz.",
    ]
    # The next file takes the damaged one's place, not that of the good one.
    after = save(tmp_path, 3)
    assert load(tmp_path, model, "mine") is not None
    assert state(model) == after


def test_no_flipped_bit_and_no_cut_passes(tmp_path: Path) -> None:
    save(tmp_path, 1)
    path = tmp_path / "checkpoint-1.npz"
    content = path.read_bytes()
    assert checkpoint._is_whole(path)
    for position in range(0, len(content), 3):
        for damaged in (flipped(content, position), content[:position]):
            path.write_bytes(damaged)
            assert not checkpoint._is_whole(path)


def test_two_damaged_files_start_the_training_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for epoch in (1, 2):
        save(tmp_path, epoch)
        path = tmp_path / checkpoint.SLOTS[epoch % 2]
        path.write_bytes(flipped(path.read_bytes(), 100))
    model = network()
    before = state(model)
    assert load(tmp_path, model, "mine") is None
    assert state(model) == before
    printed = capsys.readouterr().out.splitlines()
    assert ["is damaged:" in line for line in printed] == [True, True, False]
    assert "starts at epoch 1" in printed[2]


def test_another_training_is_not_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, 6, mark="other")
    model = network()
    before = state(model)
    assert load(tmp_path, model, "mine") is None
    assert state(model) == before
    assert capsys.readouterr().out == (
        f"No checkpoint in {tmp_path.name}/ is of this training: it starts at epoch 1.\n"
    )
    mine = save(tmp_path, 1)  # an earlier epoch than the other's
    assert load(tmp_path, model, "mine") is not None
    assert state(model) == mine


def test_where_nothing_was_saved_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(tmp_path / "nowhere", network(), "mine") is None
    assert capsys.readouterr().out == ""
    assert not (tmp_path / "nowhere").exists()


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    dead = subprocess.Popen(["/bin/true"])
    dead.wait()
    with files.replacing(tmp_path / "history.csv") as live:
        left = tmp_path / live.parent.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
        left.mkdir()
        (left / "checkpoint-1.npz").write_bytes(b"half")
        live.write_text("epoch\n")
        assert load(tmp_path, network(), "mine") is None
        assert list(tmp_path.iterdir()) == [live.parent]
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Let no file grow beyond ``room`` bytes: writing more fails in the operating system."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("missing", [0.9, 0.5, 0.01])
def test_a_full_disk_leaves_the_last_good_file(tmp_path: Path, missing: float) -> None:
    expected = save(tmp_path, 1)
    room = int((tmp_path / "checkpoint-1.npz").stat().st_size * (1 - missing))
    with full_disk(room), pytest.raises(InputError, match=r"epoch 2 .*resumes after epoch 1\."):
        save(tmp_path, 2)
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint-1.npz"]
    model = network()
    assert load(tmp_path, model, "mine") is not None
    assert state(model) == expected


def test_a_full_disk_keeps_both_files_that_were_there(tmp_path: Path) -> None:
    for epoch in (1, 2):
        save(tmp_path, epoch)
    before = [(tmp_path / name).read_bytes() for name in checkpoint.SLOTS]
    with full_disk(100), pytest.raises(InputError, match="It takes 0 MB"):
        save(tmp_path, 3)
    assert [(tmp_path / name).read_bytes() for name in checkpoint.SLOTS] == before


def test_forgetting_removes_the_checkpoints_only(tmp_path: Path) -> None:
    for epoch in (1, 2):
        save(tmp_path, epoch)
    (tmp_path / "history.csv").touch()
    for _ in range(2):
        checkpoint.forget(tmp_path)
        assert [each.name for each in tmp_path.iterdir()] == ["history.csv"]


def test_the_digest_sees_one_bit() -> None:
    model = network()
    before = checkpoint.weights_digest(model)
    assert before == checkpoint.weights_digest(network())
    kernel, bias = model.get_weights()
    bias[1] = np.nextafter(bias[1], np.float32(1))
    model.set_weights([kernel, bias])
    assert checkpoint.weights_digest(model) != before
    assert checkpoint.weights_digest(network(units=4)) != before


def test_the_fingerprint_is_of_network_weights_arguments_and_origin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mark(model: keras.Model, seed: int = 1) -> str:
        return checkpoint.fingerprint(model, seed=seed, identity={"content": "abc"})

    same = mark(network())
    assert mark(network()) == same  # however many networks and optimizers there were before
    other = {
        mark(network(fill=0.6)), mark(network(units=4)), mark(network(rate=0.1)),
        mark(network(), seed=2),
    }  # fmt: skip
    monkeypatch.setattr(checkpoint, "origin", lambda: {"code": "another"})
    other.add(mark(network()))
    assert len(other | {same}) == 6
