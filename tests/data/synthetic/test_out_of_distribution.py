import io

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.synthetic import out_of_distribution, scenes, shapes


def test_none_of_them_is_a_class():
    assert not set(out_of_distribution.OUTLINES) & set(shapes.CLASSES)


def test_the_same_seed_gives_the_same_files_and_more_begin_with_the_fewer():
    few, more, other = (
        out_of_distribution.pictures(n, seed=s) for n, s in ((3, 1), (5, 1), (3, 2))
    )
    assert more[:3] == few
    assert not {data for _, data in few} & {data for _, data in other}
    assert [name for name, _ in more] == ["arrow", "crescent", "heart", "arrow", "crescent"]


def test_they_are_files_like_those_of_the_dataset():
    for _, data in out_of_distribution.pictures(3, seed=0):
        with Image.open(io.BytesIO(data)) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (256, 256))


@pytest.mark.parametrize("name", out_of_distribution.OUTLINES)
@pytest.mark.parametrize("variation", [0.0, 1.0])
def test_outlines_are_centred_of_unit_radius_and_do_not_cross_themselves(name, variation):
    outline = out_of_distribution.OUTLINES[name](variation)
    assert 0.9 < np.abs(outline).max() < 1.25
    assert np.abs(outline.min(0) + outline.max(0)).max() < 0.5
    starts, ends = outline, np.roll(outline, -1, axis=0)

    def side(first, second, point):  # of the line first → second on which each point lies
        along, across = (second - first)[:, None], point[None] - first[:, None]
        return np.sign(along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0])

    apart = side(starts, ends, starts) * side(starts, ends, ends) < 0
    assert not (apart & apart.T).any()


def test_only_the_outline_differs_from_a_class(monkeypatch):
    monkeypatch.setattr(scenes, "OCCLUDED", 0.0)
    known = scenes.draw("disc", np.random.default_rng(3))
    novel = scenes.draw("heart", np.random.default_rng(3), out_of_distribution.OUTLINES)
    apart = np.any(np.asarray(known.picture) != np.asarray(novel.picture), axis=-1)
    assert 0.01 < apart.mean() < 0.4
    corners = apart[:20, :20] | apart[-20:, -20:]
    assert not corners.any()
