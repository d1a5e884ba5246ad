import json

from cnnlab.training import environment


def package(folder, **files):
    for room in environment.ROOMS:
        path = folder / room
        if room.endswith(".py"):
            path.write_text("x = 1\n")
        else:
            path.mkdir(parents=True)
            (path / "__init__.py").write_text("")
    for name, text in files.items():
        (folder / "models" / f"{name}.py").write_text(text)
    return folder


def test_every_room_that_training_passes_through_exists():
    assert all((environment.PACKAGE / room).exists() for room in environment.ROOMS)


def test_code_is_named_by_content_and_name(tmp_path):
    first, same, other, moved = (tmp_path / name for name in "abcd")
    for each in (first, same, other, moved):
        each.mkdir()
    found = environment.code(package(first, net="a = 1\n"))
    assert environment.code(package(same, net="a = 1\n")) == found
    assert environment.code(package(other, net="a = 2\n")) != found
    assert environment.code(package(moved, web="a = 1\n")) != found


def test_rooms_beside_training_do_not_count(tmp_path):
    found = environment.code(package(tmp_path))
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "style.py").write_text("colour = 1\n")
    assert environment.code(tmp_path) == found


def test_an_origin_is_plain_json():
    assert json.loads(json.dumps(environment.origin())) == environment.origin()
