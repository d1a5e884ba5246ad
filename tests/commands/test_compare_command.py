from cnnlab.runs import open_run


def test_compare_prints_tables_and_words_and_writes_the_page(call, home):
    open_run("one", profile="smoke")
    open_run("two", profile="smoke", overrides="l2=0.5")
    result = call("compare", "one", home / "reports" / "two")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["part", "what", "one", "two"]
    assert ["settings", "l2", "0.0001", "0.5"] in [line.split() for line in lines]
    assert "Test accuracy" in result.stdout
    assert "run notebook" in result.stdout
    assert lines[-1] == str(home / "reports" / "one-vs-two.html")
    assert (home / "reports" / "one-vs-two.html").is_file()


def test_compare_tells_bad_input_in_one_line(refused, home):
    open_run("one", profile="smoke")
    refused(["compare", "one", "nix"], "no run 'nix'", "one of one")
    refused(["compare", "one", "one"], "two different ones")
