import json
from pathlib import Path

import pytest
from PIL import Image

from cnnlab import runs
from cnnlab.config import InputError
from cnnlab.data import manifest
from cnnlab.runs import amendments, execute, names, provenance, reproduce


@pytest.fixture
def photos(make_photos):
    return make_photos(16)


@pytest.fixture
def executed(monkeypatch):
    """Stands for the notebooks: leaves real manifests, and numbers that the seed decides."""
    done = []

    def stand_in(run, names, jobs=1):
        for name in names:
            done.append((run.name, name, jobs))
            source = run.source()
            if name.startswith("01"):
                runs.seal_manifest(run, manifest.build(source), source.name)
                run.save_text("splits.csv", "path,split\n")
            elif name.startswith("03"):
                run.save_json("model/contract.json", {"model_id": f"m{run.settings.seed}"})
                loss = 0.5 + run.settings.seed
                run.save_text("training/history.csv", f"epoch,loss\n1,{loss}\n2,{loss}\n")
            else:
                run.save_json("metrics/test.json", {"n": 1})
            run.update(lambda state, name=name: state["notebooks"].setdefault(name, {}))

    monkeypatch.setattr(execute, "execute", stand_in)
    monkeypatch.setattr(provenance, "commit", lambda: None)  # somebody may be working on the code
    return done


@pytest.fixture
def stored(photos, executed):
    """A run of notebooks 01 and 03."""
    run = runs.open_run("demo", profile="smoke", data=str(photos))
    execute.execute(run, ["01_explore_data", "03_training"])
    executed.clear()
    return run


def _edit(run, **settings):
    state = run.state()
    state["settings"] |= settings
    (run.folder / "run.json").write_text(json.dumps(state))


def test_an_equal_run_is_removed_again(home, stored, executed):
    said = []
    done = reproduce.reproduce(stored.folder, jobs=2, say=said.append)
    assert done.equal
    assert [(name, jobs) for _, name, jobs in executed] == [
        ("01_explore_data", 2),
        ("03_training", 2),
    ]
    assert done.verdict == (
        "reproduced: the data, the settings and, to the last bit, splits.csv, "
        "training/history.csv, model/contract.json"
    )
    assert [path.name for path in (home / "reports").iterdir()] == ["demo"]
    assert said == [f"Executing notebooks 01, 03 into {done.folder}"]


def test_notebook_04_is_executed_where_the_run_has_its_results(stored, executed):
    execute.execute(stored, ["04_kfold_evaluation"])
    executed.clear()
    assert reproduce.reproduce(stored.folder).compared[-1] == "metrics/test.json"
    assert [name[:2] for _, name, _ in executed] == ["01", "03", "04"]


def test_another_setting_drifts_and_what_it_gave_is_kept(stored):
    done = reproduce.reproduce(stored.folder, ["seed=1"])
    assert not done.equal
    assert done.differences.values.tolist() == [
        ["settings", "seed", "0", "1"],
        ["training", "training/history.csv: first at epoch 1, loss (2 of 2 rows)", "0.5", "1.5"],
        ["weights", "model/contract.json: model_id", "m0", "m1"],
    ]
    assert done.verdict == (
        "drifted: settings, training, weights. Most likely because of the settings. "
        f"The second run is kept in {done.folder}"
    )
    assert (done.folder / "run.json").is_file()
    assert stored.settings.seed == 0


def test_an_edited_seed_is_named(stored):
    _edit(stored, seed=1)
    table = reproduce.reproduce(stored.folder).differences
    assert table.values.tolist()[0] == ["settings", "seed (edited in run.json)", "0", "1"]
    assert "epoch 1, loss" in table["what"][1]


def test_a_changed_image_is_named_at_once_and_in_the_table(stored, photos):
    Image.new("RGB", (40, 40), "red").save(photos / "cat" / "7.png")
    said = []
    done = reproduce.reproduce(stored.folder, say=said.append)
    assert done.differences["part"].tolist() == ["data"]
    assert done.differences["what"].tolist() == ["cat/7.png (changed)"]
    assert said[1] == "note: the data differ: cat/7.png (changed). The other notebooks follow."
    assert not done.equal


def test_other_versions_that_change_nothing_are_a_note(stored, monkeypatch):
    changed = {**stored.state()["versions"], "numpy": "0.1"}
    monkeypatch.setattr(provenance, "versions", lambda: changed)
    done = reproduce.reproduce(stored.folder)
    assert done.equal
    assert done.differences["what"].tolist() == ["numpy"]
    assert done.verdict.endswith("What differs above changed none of them")


def test_results_that_differ_without_a_cause_say_so(stored):
    stored.save_json("model/contract.json", {"model_id": "other"})
    assert "drifted: weights. No cause is known" in reproduce.reproduce(stored.folder).verdict


def test_a_notebook_that_fails_is_told_and_its_run_is_kept(stored, monkeypatch):
    def fail(run, names, jobs=1):
        raise execute.NotebookFailed(names[0], 3, "f()", "ValueError: x", Path("n.ipynb"))

    monkeypatch.setattr(execute, "execute", fail)
    done = reproduce.reproduce(stored.folder)
    assert not done.equal
    assert "not reproduced: notebook 01_explore_data, cell 3 (f()): ValueError: x." in done.verdict
    assert done.folder.is_dir()


def test_a_run_is_found_by_name_and_by_path(home, stored, monkeypatch):
    monkeypatch.chdir(home)
    assert names.find("demo") == names.find("reports/demo") == stored.folder
    assert names.find(str(stored.folder)) == stored.folder
    with pytest.raises(InputError, match="no run 'nothing': expected one of demo"):
        names.find("nothing")


def test_what_cannot_be_reproduced_is_refused_and_makes_no_run(home, photos, stored):
    empty = runs.open_run("empty", profile="smoke", data=str(photos))
    with pytest.raises(InputError, match=r"no splits\.csv yet: run notebook 01"):
        reproduce.reproduce(empty.folder)
    empty.save_text("splits.csv", "path\n")
    with pytest.raises(InputError, match=r"no model/contract\.json yet: run notebook 03"):
        reproduce.reproduce(empty.folder)
    with pytest.raises(InputError, match="Cannot set 'sed=1'"):
        reproduce.reproduce(stored.folder, ["sed=1"])
    stored.record("notebooks", {"04_kfold_evaluation": {"failed": "cell 3: ValueError: x"}})
    with pytest.raises(InputError, match=r"incomplete: notebook 04_kfold_evaluation failed \(cell"):
        reproduce.reproduce(stored.folder)
    done = {"started": "2026", "finished": "2026"}
    stored.record("notebooks", {"04_kfold_evaluation": done})
    amendments.record(stored.folder, {"folds": 3})
    with pytest.raises(InputError, match=r"04_kfold_evaluation is older than folds=3 .*--only 04"):
        reproduce.reproduce(stored.folder)
    amendments.record(stored.folder, {"folds": 2})
    stored.record("notebooks", {})
    photos.rename(photos.with_name("moved"))
    with pytest.raises(InputError, match="no data folder"):
        reproduce.reproduce(stored.folder)
    assert sorted(path.name for path in (home / "reports").iterdir()) == ["demo", "empty"]


def test_a_long_name_leaves_room_for_the_second():
    name = reproduce._name(Path("a" * 80))
    assert len(name) <= 80
    assert name.startswith("a" * 50 + ".reproduced-")
