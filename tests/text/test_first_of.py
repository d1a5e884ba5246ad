from cnnlab.text.first_of import first_of


def test_the_first_are_named_and_the_others_counted():
    assert first_of([], 2) == ""
    assert first_of(["a", "b"], 2) == "a, b"
    assert first_of(["a", "b", "c"], 2) == "a, b and 1 more"


def test_the_total_may_be_more_than_what_is_given():
    assert first_of(["a", "b"], 2, total=1502, apart="; ", what="files") == (
        "a; b and 1,500 more files"
    )
    assert first_of(["a", "b"], 2, total=2) == "a, b"
