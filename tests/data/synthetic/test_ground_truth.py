import numpy as np
import pandas as pd

from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.data.synthetic import ground_truth


def source_with_truth(folder) -> FolderSource:
    (folder / "images").mkdir()
    (folder / "truth").mkdir()
    objects = "path,label,left,top,right,bottom,mask\ntrain/a/1.jpg,a,0,64,128,256,m.png\n"
    (folder / "truth" / "objects.csv").write_text(objects)
    (folder / "truth" / "faults.csv").write_text("path,fault,other\nx.jpg,empty,\n")
    return FolderSource("made", folder / "images", folder / "truth")


def test_boxes_are_scaled_to_the_prepared_size_and_nan_where_unknown(tmp_path):
    source = source_with_truth(tmp_path)
    boxes = ground_truth.boxes(source, ["nobody.jpg", "train/a/1.jpg"], size=64)  # stored at 256
    assert np.isnan(boxes[0]).all()
    assert boxes[1].tolist() == [0, 16, 32, 64]


def test_faults_read_as_text(tmp_path):
    faults = ground_truth.planted_faults(source_with_truth(tmp_path))
    assert faults.to_dict(orient="records") == [{"path": "x.jpg", "fault": "empty", "other": ""}]


def test_wrong_labels_give_the_true_class_by_path(tmp_path):
    source = source_with_truth(tmp_path)
    (tmp_path / "truth" / "faults.csv").write_text(
        "path,fault,other\na/1.jpg,wrong_label,b\na/2.jpg,near_leak,test/a/3.jpg\n"
    )
    assert ground_truth.wrong_labels(source) == {"a/1.jpg": "b"}


def test_a_plain_folder_knows_nothing(tmp_path):
    source = FolderSource("plain", tmp_path)
    assert np.isnan(ground_truth.boxes(source, pd.Series(["a/1.jpg"]), 32)).all()
    assert ground_truth.planted_faults(source).empty
    assert ground_truth.wrong_labels(source) == {}
    assert list(ground_truth.planted_faults(source)) == ["path", "fault", "other"]
