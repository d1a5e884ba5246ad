"""What the exports of all registered networks hold: ``cnnlab/artifact/allowed.json`` is made of it.

python tests/artifact/exports.py [family ...]  prints what is new in the exports of these families,
or of all, which takes half an hour; ``--write`` adds it to the file.
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from cnnlab import models
from cnnlab.artifact import h5, saved_model
from cnnlab.engine import SavedModel

# Options that change which layers a network has, and the least pixels a side.
OPTIONS = {
    "reference_cnn": ("", "filters=4,dense_units=3"),
    "resnet": ("width=2,blocks=1-2", "width=2,blocks=1-1,stem=imagenet"),
    "mobilenet": ("alpha=0.25",),
    "mobilenet_v2": ("alpha=0.35",),
    "mobilenet_v3_large": ("alpha=0.75",),
}
SIZES = {"xception": 71, "inception_v3": 75, "inception_resnet_v2": 75}


def exported(name: str, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the H5 file and the SavedModel of small networks of a family, one after the other."""
    for number, options in enumerate(OPTIONS.get(name, ("",))):
        hidden = 2 * number if models.architecture(name).name != "reference_cnn" else 0
        network = models.build(
            name,
            image_size=SIZES.get(name, 32),
            num_classes=2,
            seed=0,
            l2=1e-4,
            dropout=0.5,
            options=options,
            hidden_units=hidden,
        )
        copy = h5.float32_copy(network)
        file, graph = folder / f"{number}.h5", folder / f"{number}"
        h5.write(copy, file, "{}")
        saved_model.export(copy, graph, network.input_shape[1], temperature=1.0 + number / 2)
        yield file, graph


def held(file: Path, graph: Path) -> dict[str, set[str]]:
    """Return what an export holds: kind of thing → names."""
    return of_saved_model(graph / "saved_model.pb") | {"network": of_network(file)}


KINDS = (
    "operations", "restore", "save", "attributes", "function_attributes", "devices", "objects",
)  # fmt: skip


def of_saved_model(path: Path) -> dict[str, set[str]]:
    """Return the operations and attributes of a graph, those of its saver apart."""
    content = SavedModel.FromString(path.read_bytes())
    (meta,) = content.meta_graphs
    found: dict[str, set[str]] = {kind: set() for kind in KINDS} | {
        "messages": {*_messages(content)}
    }
    for node in meta.object_graph_def.nodes:
        found["objects"] |= {node.registered_name, node.user_object.identifier}
    savers = {}
    for node in meta.graph_def.node:
        if node.name == meta.saver_def.restore_op_name:
            savers[node.attr["f"].func.name] = "restore"
        if node.name == meta.saver_def.save_tensor_name.partition(":")[0]:
            savers[node.attr["f"].func.name] = "save"
    bodies: list[tuple[str, Any]] = [("operations", meta.graph_def.node)]
    for function in meta.graph_def.library.function:
        bodies.append((savers.get(function.signature.name, "operations"), function.node_def))
        found["function_attributes"] |= {*function.attr}
        for arguments in function.arg_attr.values():
            found["function_attributes"] |= {*arguments.attr}
    for kind, nodes in bodies:
        for node in nodes:
            found[kind].add(node.op)
            found["devices"].add(node.device)
            found["attributes"] |= {name for name in node.attr if name.startswith("_")}
    return found


def _messages(message: Any) -> Iterator[str]:
    """Yield the types of messages outside the graph."""
    yield message.DESCRIPTOR.full_name
    for field, value in message.ListFields():
        if field.message_type is None or field.name == "graph_def":
            continue
        entries = field.message_type.GetOptions().map_entry
        for each in value.values() if entries else value if field.is_repeated else (value,):
            if hasattr(each, "DESCRIPTOR"):
                yield from _messages(each)


def of_network(file: Path) -> set[str]:
    """Return the classes in a network's configuration: ``keras>DTypePolicy``, ``>Conv2D``."""
    with h5py.File(file, "r") as content:
        stated = json.loads(content.attrs["model_config"])
    return {*_classes(stated)}


def _classes(value: Any) -> Iterator[str]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and "class_name" in value:
        yield f"{value.get('module') or ''}>{value['class_name']}"
    for each in inner:
        yield from _classes(each)


def main(names: list[str]) -> None:
    for name in names or models.ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            for file, graph in exported(name, Path(folder)):
                whole = {kind: sorted(values) for kind, values in held(file, graph).items()}
                size = (graph / "saved_model.pb").stat().st_size
                print(json.dumps({"name": name, "size": size} | whole), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
