"""The weights file: exact, atomic, and refused when it is not what it should be."""

from pathlib import Path

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.training import checkpoint


def network(units: int = 3, fill: float | None = None) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(units)], name="small")
    if fill is not None:
        model.set_weights([np.full_like(weight, fill) for weight in model.get_weights()])
    return model


def equal(one: keras.Model, other: keras.Model) -> bool:
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


def test_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    model, other = network(), network()
    assert not equal(model, other)
    path = tmp_path / "made" / "here" / "one.weights.h5"
    checkpoint.save(model, path)
    checkpoint.restore(other, path)
    assert equal(model, other)
    assert [each.name for each in path.parent.iterdir()] == ["one.weights.h5"]


def test_a_crash_while_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, model = tmp_path / "one.weights.h5", network(fill=1)
    checkpoint.save(model, path)

    def half_written(target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    broken = network(fill=2)
    monkeypatch.setattr(broken, "save_weights", half_written)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(broken, path)
    back = network(fill=3)
    checkpoint.restore(back, path)
    assert equal(back, model)
    assert list(tmp_path.iterdir()) == [path]  # no unfinished file stays behind


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ending in \.weights\.h5"):
        checkpoint.save(network(), tmp_path / "one.h5")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no weights at .*one\.weights\.h5"):
        checkpoint.restore(network(), tmp_path / "one.weights.h5")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.weights.h5"
    checkpoint.save(network(), path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        checkpoint.restore(network(), path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.weights.h5"
    checkpoint.save(network(units=5), path)
    with pytest.raises(InputError, match="'small'"):
        checkpoint.restore(network(units=3), path)


@pytest.mark.parametrize("on_disk", [True, False])
def test_best_gives_back_what_was_kept_last(tmp_path: Path, on_disk: bool) -> None:
    best = checkpoint.Best(tmp_path if on_disk else None)
    model = network(fill=0)
    with pytest.raises(InputError):
        best.restore(model)
    for value in (1, 2):
        model.set_weights(network(fill=value).get_weights())
        best.keep(model)
    model.set_weights(network(fill=9).get_weights())
    best.restore(model)
    assert equal(model, network(fill=2))
    assert [each.name for each in tmp_path.iterdir()] == ["best.weights.h5"] * on_disk
