"""Labels and groups from tables that people write: read whatever their dialect, or refused."""

import os
import re

import pytest
from PIL import Image

from cnnlab.config import InputError, make_settings
from cnnlab.data import manifest, splits
from cnnlab.data.audit import audit
from cnnlab.data.sources import selection
from cnnlab.data.sources.entries import Entry

IMAGES = ("a/1.png", "a/2.png", "b/3.png", "b/4.png")
ROWS = ("a/1.png,cat", "a/2.png,cat", "b/3.png,dog", "b/4.png,dog")
HEADER = "path,label"


@pytest.fixture
def write(tmp_path):
    """Return the writer of a table beside four empty files; it gives the table's path."""
    for path in IMAGES:
        (tmp_path / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / path).touch()

    def make(content, name="labels.csv"):
        file = tmp_path / "photos" / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return file

    return make


def resolved(file, *overrides):
    return selection.resolve(make_settings("smoke", overrides, source=str(file)))


def table(*rows, header=HEADER):
    return "\n".join([header, *rows]) + "\n"


def refusal(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_table_gives_an_entry_a_row(write):
    file = write(table("a/1.png,cat,p1", "b/3.png,dog,", header="path,label,group"))
    source = resolved(file)
    assert source.name == "photos/labels.csv"
    assert source.root == file.parent
    assert source.class_names() == ["cat", "dog"]
    assert source.entries() == {
        "a/1.png": Entry("a/1.png", "cat", "", "p1"),
        "b/3.png": Entry("b/3.png", "dog", "", ""),
    }
    assert source.notes == ()
    assert source.truth is None


@pytest.mark.parametrize(
    "content",
    [
        table(*ROWS),
        table(*ROWS).replace(",", ";"),
        table(*ROWS).replace(",", "\t"),
        b"\xef\xbb\xbf" + table(*ROWS).encode(),
        table(*ROWS).replace("\n", "\r\n"),
        table(*ROWS).replace("\n", "\r"),
        "\n\n" + table(*ROWS).replace("\n", "\n\n"),
        table(*ROWS, header="Path,LABEL"),
        table(*ROWS, header="File name,Class"),
        table(*ROWS, header="image-path , category"),
        table(*(",".join(reversed(row.split(","))) for row in ROWS), header="label,path"),
        table(*(f'"{row.replace(",", chr(34) + "," + chr(34))}"' for row in ROWS)),
        table(*(row.replace(",", " , ") for row in ROWS)),
        table(*(f"./{row}" for row in ROWS)),
        table(*(row.replace("/", "//") for row in ROWS)),
        table(*(row.replace("/", "\\") for row in ROWS)),
        table(*(f"b/../{row}" for row in ROWS)),
        table(*ROWS).rstrip("\n"),
    ],
)
def test_any_usual_dialect_is_read(write, content):
    source = resolved(write(content))
    assert {path: entry.label for path, entry in source.entries().items()} == {
        "a/1.png": "cat",
        "a/2.png": "cat",
        "b/3.png": "dog",
        "b/4.png": "dog",
    }


SPLIT = "path,label,split"
GROUP = "path,label,group"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["is empty", "path,label[,group][,split]"]),
        ("\n \n", ["is empty"]),
        ("path,label\n", ["a header and no row"]),
        (table(*ROWS).encode("utf-16"), ["UTF-16", "UTF-8"]),
        (table(*ROWS, "a/1.png,kät").encode("latin-1"), ["row 6", "not written in UTF-8"]),
        (b"\x89PNG\r\n\x1a\n\x00", ["UTF-8"]),
        ("path,label\na/1.png,c\0t\n", ["no text"]),
        (table(*ROWS, header="a/0.png,cat"), ["no column 'path'", "a/0.png, cat", "semicolons"]),
        (table(*ROWS).replace(",", "|"), ["no column 'path'", "path|label"]),
        (table(*ROWS, header="path,what"), ["no column 'label'", "path, what"]),
        (table(*ROWS, header="path,lable"), ["'lable'", "did you mean 'label'"]),
        (table("a/1.png,cat,1", header="path,label,gruop"), ["'gruop'", "did you mean 'group'"]),
        (table("a/1.png,cat,1", header="path,label,label"), ["'label' and 'label'", "both"]),
        (table("a/1.png,cat,1", header="file,label,image"), ["'file' and 'image'", "the path"]),
        (table("a/1.png,cat,1,2", header="path,label,patient,video"), ["'patient' and 'video'"]),
        (table(ROWS[0], "a/2.png", *ROWS[2:]), ["row 3", "1 values, and 2 columns"]),
        (table(*ROWS, "a/1.png,cat,,"), ["row 6", "4 values, and 2 columns"]),
        (table(ROWS[0], 'a/2.png,"cat', *ROWS[2:]), ["row 3", "quote"]),
        (table(*ROWS, ",cat"), ["row 6", "no path"]),
        (table(*ROWS, "a/5.png,"), ["there is no file 'a/5.png'"]),
        (table(*ROWS[:3], "b/4.png, "), ["row 5", "no label"]),
        (table(*ROWS, "a/1.png,cat"), ["rows 2, 6", "'a/1.png'", "Keep one row"]),
        (table(*ROWS, "./a/1.png,dog"), ["rows 2, 6", "the labels 'cat' and 'dog'"]),
        (table("a/1.png,cat,p", "a/1.png,cat,q", header=GROUP), ["the groups 'p' and 'q'"]),
        (table(*ROWS, "/etc/passwd,cat"), ["row 6", "absolute path '/etc/passwd'", "relative"]),
        (table(*ROWS, "C:\\photos\\1.png,cat"), ["row 6", "absolute path"]),
        (table(*ROWS, "../1.png,cat"), ["row 6", "outside the table's folder '../1.png'"]),
        (table(*ROWS, "a/../../1.png,cat"), ["row 6", "outside"]),
        (table(*ROWS, *(f"a/{i}.jpg,cat" for i in range(9))),
         ["rows 6, 7, 8 and 6 more", "'a/0.jpg'"]),
        (table(*ROWS, "A/1.PNG,cat"), ["row 6", "but 'a/1.png', spelt otherwise"]),
        (table(*ROWS, "a,cat"), ["row 6", "but a folder"]),
        (table(*ROWS[:2]), ["only one class, 'cat'", "at least two"]),
        (table(ROWS[0], ROWS[1] + " "), ["only one class"]),
        (table("a/1.png,caf\u00e9", "a/2.png,cafe\u0301"), ["rows 2, 3", "look alike"]),
        (table('a/1.png,"c\nt"', *ROWS[1:]), ["row 2", "line break"]),
        (table(*(f"{row},train" for row in ROWS[:3]), "b/4.png,dog,tset", header=SPLIT),
         ["row 5", "unknown split 'tset'", "train, validation or test"]),
        (table(*(f"{row},train" for row in ROWS[:3]), "b/4.png,dog,", header=SPLIT),
         ["row 5", "no split"]),
        (table(*(f"{row},train" for row in ROWS), header=SPLIT), ["the split train", "test or"]),
        (table(*(f"{row},{s}" for row, s in zip(ROWS, ("train", "test", "train", "train"),
                                                strict=True)), header=SPLIT),
         ["class 'dog'", "no image with the split test"]),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_one_line_with_its_row(write, content, parts):
    file = write(content)
    message = refusal(resolved, file)
    assert message.startswith(str(file))
    for part in parts:
        assert part in message


def test_a_file_behind_a_link_into_the_folder_is_not_there(write, tmp_path):
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "photos" / "a")
    assert "behind a link" in refusal(resolved, write(table(*ROWS, "link/1.png,cat")))


def test_a_file_behind_a_link_that_leads_out_is_that_file(write, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "1.png").touch()
    (tmp_path / "photos" / "link").symlink_to(tmp_path / "store")
    assert resolved(write(table(*ROWS, "link/1.png,cat"))).entries()["link/1.png"].label == "cat"


def test_spaces_around_labels_never_make_two_classes(write):
    source = resolved(write(table(ROWS[0], "a/2.png, cat ", *ROWS[2:])))
    assert source.class_names() == ["cat", "dog"]


def test_what_may_be_meant_otherwise_is_noted(write):
    header = "path,label,age,patient"
    rows = ["a/1.png,A,3,", "a/2.png,a,4,", "b/3.png,b,5,"]
    source = resolved(write(table(*rows, header=header)))
    assert source.class_names() == ["A", "a", "b"]
    assert source.notes == (
        "labels.csv: not used: column 'age'",
        "'A' and 'a' are different classes, for their names differ; if they mean the same, spell "
        "them one way",
        "labels.csv: the column of groups is empty, so no groups are declared",
    )


@pytest.mark.parametrize("words", [("train", "test"), ("Training", " TEST "), ("train", "val")])
def test_a_split_in_the_table_is_used(write, words):
    rows = [f"{row},{words[i % 2]}" for i, row in enumerate(ROWS)]
    found = {
        entry.split for entry in resolved(write(table(*rows, header=SPLIT))).entries().values()
    }
    assert found == {"train", "validation" if words[1] == "val" else "test"}


@pytest.mark.parametrize("name", ["labels.tsv", "LABELS.CSV"])
def test_tables_are_known_by_their_suffix(write, name):
    assert resolved(write(table(*ROWS), name)).class_names() == ["cat", "dog"]


def test_another_file_is_no_table(write):
    assert "no CSV table" in refusal(resolved, write(table(*ROWS), "labels.xlsx"))


def save(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise((40, 40), 40 + seed).convert("RGB").save(path)


def test_every_file_is_accounted_for(tmp_path):
    for seed, path in enumerate(("a/1.png", "2.png", ".deep/3.png", "not named.png", "b/4.jpg")):
        save(tmp_path / path, seed)
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "link.png").symlink_to("2.png")
    rows = ["a/1.png,cat", "2.png,dog", ".deep/3.png,cat", "broken.png,dog", "link.png,dog"]
    (tmp_path / "labels.csv").write_text(table(*rows))
    files = manifest.build(resolved(tmp_path / "labels.csv")).set_index("path")
    assert (files["status"] + " " + files["reason"]).str.strip().to_dict() == {
        "a/1.png": "accepted",
        "2.png": "accepted",
        ".deep/3.png": "accepted",  # hidden, but named
        "broken.png": "quarantined unknown_format",
        "link.png": "skipped link_to_copy",
        "not named.png": "skipped not_in_table",
        "b/4.jpg": "skipped not_in_table",
        ".DS_Store": "skipped hidden",
        "labels.csv": "skipped table",
    }
    assert files.loc["broken.png", "label"] == "dog"


def test_a_file_that_vanishes_after_the_table_was_read_is_named(tmp_path):
    for seed, path in enumerate(("1.png", "2.png")):
        save(tmp_path / path, seed)
    (tmp_path / "labels.csv").write_text(table("1.png,cat", "2.png,dog"))
    source = resolved(tmp_path / "labels.csv")
    os.unlink(tmp_path / "2.png")
    assert "2.png vanished, or came, while" in refusal(manifest.build, source)


@pytest.fixture
def patients(tmp_path):
    """Eight patients with six frames of each of two classes, in folders of classes."""
    for label in ("cat", "dog"):
        for number in range(48):
            save(tmp_path / "ward" / label / f"p{number // 6}_{number % 6}.png", number)
    return tmp_path / "ward"


def split_of(source, *overrides):
    files = manifest.build(source)
    settings = make_settings("smoke", overrides)
    return files, splits.assign(files, audit.pictures(files, source), settings)


def test_a_folder_gets_the_same_groups_from_a_pattern_and_a_table(patients):
    by_pattern = resolved(patients, r"group_by=/(p\d+)_")
    files, table_ = split_of(by_pattern)
    assert table_["group"].nunique() == 8
    assert (table_.groupby("group")["split"].nunique() == 1).all()
    assert set(table_["split"]) == {"train", "validation", "test"}  # and nothing excluded
    rows = [f"{path};{re.search('p[0-9]+', path)[0]}" for path in by_pattern.entries()]
    (patients / "groups.csv").write_text("\n".join(["file;patient", *rows]))
    again = manifest.build(resolved(patients))
    assert manifest.digest(again) == manifest.digest(files)
    assert again.set_index("path").loc["groups.csv", ["status", "reason"]].tolist() == [
        "skipped",
        "table",
    ]
    assert manifest.digest(files) != manifest.digest(files.assign(group=""))


def test_a_group_may_be_named_in_the_pattern(patients):
    source = resolved(patients, r"group_by=(?P<frame>_\d)?(?P<group>p[01])_")
    groups = {path: entry.group for path, entry in source.entries().items()}
    assert {groups["cat/p0_1.png"], groups["dog/p1_5.png"], groups["dog/p2_0.png"]} == {
        "p0",
        "p1",
        "",
    }


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("p(", "no regular expression"),
        ("p[0-9]+", "captures nothing"),
        ("(nurse)", "finds no group in any of 96 paths, such as 'cat/p0_0.png'"),
        ("(x?)p", "finds no group"),
    ],
)
def test_a_pattern_that_cannot_group_is_refused_at_once(patients, pattern, part):
    message = refusal(resolved, patients, f"group_by={pattern}")
    assert part in message
    assert repr(pattern) in message


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("path,patients\ncat/p0_0.png,1\n", ["no column 'group'"]),
        ("path,group\ncat/none.png,1\n", ["row 2", "there is no file 'cat/none.png'"]),
        ("path,group\ncat/p0_0.png,1\ncat/p0_0.png,2\n", ["rows 2, 3", "'1' and '2'"]),
        ("path,group\ncat/p0_0.png,\n", ["gives no group"]),
    ],
)
def test_a_table_of_groups_is_checked_as_one_of_labels(patients, content, parts):
    (patients / "groups.csv").write_text(content)
    message = refusal(resolved, patients)
    for part in parts:
        assert part in message


def test_groups_given_twice_are_refused(patients):
    (patients / "groups.csv").write_text("path,group\ncat/p0_0.png,1\n")
    assert "use one" in refusal(resolved, patients, "group_by=(p.)")
    file = patients / "labels.csv"
    file.write_text(table("cat/p0_0.png,cat,1", "dog/p0_0.png,dog,1", header=GROUP))
    assert "use one" in refusal(resolved, file, "group_by=(p.)")


def test_a_table_of_labels_takes_a_pattern_for_groups(patients):
    file = patients / "labels.csv"
    file.write_text(table("cat/p0_0.png,cat", "dog/p1_0.png,dog"))
    found = resolved(file, "group_by=(p.)").entries().values()
    assert [entry.group for entry in found] == ["p0", "p1"]


@pytest.mark.parametrize(
    ("pattern", "groups", "warning"),
    [
        (r"(p\d)_", {"groups": 8, "images": 96, "without": 0, "smallest": 12, "largest": 12}, ""),
        (r"(p[0-3])_", {"groups": 4, "images": 48, "without": 48, "smallest": 12, "largest": 12},
         "48 of 96 images have no group"),
        (r"(p)\d", {"groups": 1, "images": 96, "without": 0, "smallest": 96, "largest": 96},
         "one group 'p' holds 96"),
        (r"(.*)", {"groups": 96, "images": 96, "without": 0, "smallest": 1, "largest": 1},
         "such groups change nothing"),
    ],
)  # fmt: skip
def test_the_audit_counts_groups_and_doubts_senseless_ones(patients, pattern, groups, warning):
    source = resolved(patients, f"group_by={pattern}")
    files = manifest.build(source)
    summary = audit.summary(files, audit.findings(files, audit.pictures(files, source)))
    assert summary["groups"] == groups
    assert [warning in text for text in summary["warnings"]] == [True] * bool(warning)


def test_without_groups_the_audit_says_nothing_of_them(patients):
    source = resolved(patients)
    files = manifest.build(source)
    summary = audit.summary(files, audit.findings(files, audit.pictures(files, source)))
    assert "groups" not in summary
    assert summary["warnings"] == []


def test_groups_are_counted_a_side(patients):
    _, table_ = split_of(resolved(patients, r"group_by=(p[0-6])_"))
    counts = splits.group_counts(table_)
    assert list(counts.index) == ["train", "validation", "test"]
    assert counts["groups"].sum() == 7
    assert counts["images"].sum() == 96
    assert counts["without a group"].sum() == 12
    assert splits.group_counts(table_.assign(group="")).empty
