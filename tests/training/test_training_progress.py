import pytest

from cnnlab.training import Watch


def told(watch, part, epoch, *, last=False):
    watch(part, {"epoch": epoch, "last": last})


def test_a_watch_says_which_parts_run_and_how_long_the_rest_takes_at_most():
    seconds, lines = iter([100, 110, 120, 130, 140]), []  # the first epoch waits for much else
    watch = Watch(2, 3, lines.append, clock=lambda: next(seconds))
    told(watch, 1, 1)
    told(watch, 2, 1)
    told(watch, 1, 2, last=True)  # it stopped early
    told(watch, 2, 2)
    told(watch, 2, 3, last=True)
    assert lines == [
        "fold 1 of 2: epoch 1 of 3",
        "fold 1 of 2: epoch 1 of 3 · fold 2 of 2: epoch 1 of 3",
        "fold 2 of 2: epoch 1 of 3 · at most 20 s left",
        "fold 2 of 2: epoch 2 of 3 · at most 10 s left",
        "2 of 2 trained",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.4, "59 s"), (89, "1 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_times_are_rounded_as_one_reads_them(seconds, text):
    clock, lines = iter([0.0, seconds, 2 * seconds]), []
    watch = Watch(4, 1, lines.append, name="part", clock=lambda: next(clock))
    for part in (1, 2, 3):
        told(watch, part, 1, last=True)
    assert lines[-1] == f"3 of 4 trained · at most {text} left"
