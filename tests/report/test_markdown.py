from cnnlab.report import markdown


def test_a_table_by_hand():
    assert markdown.table(["a", "b"], [[1, "x"]]) == "| a | b |\n| --- | --- |\n| 1 | x |"


def test_no_name_breaks_a_table():
    assert markdown.cell("a|b") == "a\\|b"
    assert markdown.cell("two\nlines") == "two\\nlines"
    assert markdown.cell("<b>") == "&lt;b>"
    assert markdown.cell("grün") == "grün"
