"""What is cut to save time is cut as stated, and the full effort cuts nothing."""

from functools import partial

import numpy as np
import pytest

from cnnlab.config import settings
from cnnlab.explain.effort import COSTLY, EFFORTS, Effort
from cnnlab.explain.methods import registry


def test_every_choice_of_the_setting_is_an_effort():
    assert set(settings.FIELDS["explanations"][1].metadata["choices"]) == set(EFFORTS)
    assert EFFORTS["full"] == Effort()
    assert set(COSTLY) <= set(registry.METHODS)


def test_the_full_effort_leaves_the_methods_and_all_images():
    full = Effort()
    asked = full.methods(registry.METHODS, 64)
    assert {name: asked[name] for name in COSTLY[:2]} == {
        name: registry.METHODS[name] for name in COSTLY[:2]
    }
    assert asked["integrated gradients"].keywords == {"steps": 64}  # its own default
    assert list(full.randomized(asked, 64)) == list(registry.METHODS)
    assert full.some(5, seed=0).tolist() == [0, 1, 2, 3, 4]
    assert full.described() == "Nothing is left out to save time."


def test_a_smaller_effort_is_handed_to_the_methods():
    brief = Effort(feature_maps=7, overlapping=False, gradient_steps=5, randomize_costly=False)
    asked = brief.methods(registry.METHODS, 64)
    changed = {name: one.keywords for name, one in asked.items() if isinstance(one, partial)}
    assert changed == {
        "Score-CAM": {"channels": 7},
        "occlusion": {"stride": 8},
        "integrated gradients": {"steps": 5},
    }
    assert not set(brief.randomized(asked, 64)) & set(COSTLY)


def test_some_validation_images_are_drawn_by_the_seed():
    few = Effort(validation_images=10)
    rows = few.some(100, seed=1)
    assert len(rows) == 10
    assert np.array_equal(rows, np.unique(rows))
    assert np.array_equal(rows, few.some(100, seed=1))
    assert not np.array_equal(rows, few.some(100, seed=2))
    assert few.some(9, seed=1).tolist() == list(range(9))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"feature_maps": 32}, "Score-CAM through the 32 feature maps that vary most"),
        ({"overlapping": False}, "occlusion's patches side by side"),
        ({"gradient_steps": 16}, "16 steps of integrated gradients (of 64)"),
        ({"curve_steps": 5}, "5 steps of a curve (of 10)"),
        ({"fractions": (0.3,)}, "1 fractions for ROAD (of 3)"),
        ({"randomize_costly": False}, "not asked again with randomized weights"),
        ({"randomized_images": 10}, "10 randomized images (of 12)"),
        ({"validation_images": 200}, "at most 200 validation images"),
        ({"training_images": 300}, "300 training images for the probes (of 480)"),
        ({"climbed": 3}, "3 channels climbed a stage (of 6)"),
        ({"climb_steps": 20}, "20 climb steps (of 40)"),
        ({"orientations": (0, 90)}, "2 orientations (of 12)"),
        ({"phases": 2}, "2 phases of a grating (of 4)"),
        ({"randomizations": 4}, "4 randomizations (of 9)"),
    ],
)
def test_whatever_is_cut_is_said(changed, said):
    """Every field of an effort has its words."""
    assert said in Effort(**changed).described()


def test_no_field_is_cut_silently():
    from dataclasses import fields

    parameters = test_whatever_is_cut_is_said.pytestmark[0].args[1]
    assert {name for changed, _ in parameters for name in changed} == {
        each.name for each in fields(Effort)
    }
