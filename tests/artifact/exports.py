"""What the exports of all registered networks hold: ``cnnlab/artifact/allowed.json`` is made of it.

``python tests/artifact/exports.py [family ...]`` adds to that file what the exports of these
families hold, or makes it anew of all families, which takes half an hour. Copy it to
``backend/artifact/``, and look at what is new: each operation runs for whoever loads a model.
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
from cnnlab.config.data import FITS
from cnnlab.engine import SavedModel, keras
from cnnlab.images import Preprocessing

LIST = Path(saved_model.__file__).parent / "allowed.json"
KINDS = (
    "operations", "restore", "save", "attributes", "function_attributes", "devices", "objects",
    "messages", "network",
)  # fmt: skip
# Options that change which layers a network has, and the least pixels a side.
OPTIONS = {
    "reference_cnn": ("", "filters=4,dense_units=3", "filters=4,pool=global"),
    "resnet": (
        "width=2,blocks=1-2",
        "width=2,blocks=1-1,stem=imagenet",
        "width=2,blocks=1-2,stem=deep,bottleneck=true,shortcut=average,zero_gamma=true,blur=true",
    ),
    "mobilenet": ("alpha=0.25",),
    "mobilenet_v2": ("alpha=0.35",),
    "mobilenet_v3_large": ("alpha=0.75",),
}
SIZES = {"xception": 71, "inception_v3": 75, "inception_resnet_v2": 75}
# ``model_folder.save`` takes networks that are in no registry; one as users write it.
SEQUENTIAL = "sequential"
ALL = (*models.ARCHITECTURES, SEQUENTIAL)
# In exports of the first day of format 2, whose graphs decoded images in another way.
EARLIER = {"operations": {"SplitV"}}


def exported(name: str, folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the H5 file and the SavedModel of small networks of a family, one after the other."""
    for number, network in enumerate(networks(name)):
        copy = h5.float32_copy(network)
        file, graph = folder / f"{number}.h5", folder / f"{number}"
        h5.write(copy, file, "{}")
        temperature, size = 1.0 + number / 2, network.input_shape[1]
        saved_model.export(copy, graph, size, temperature, Preprocessing(fit=FITS[number % 3]))
        yield file, graph


def networks(name: str) -> Iterator[keras.Model]:
    """Yield networks of a family, with all that may be chosen of its layers."""
    if name == SEQUENTIAL:
        draw = keras.initializers.RandomNormal
        layers = (
            keras.layers.Flatten(),
            keras.layers.Dense(2, "softmax", kernel_initializer=draw()),
        )
        network = keras.Sequential(
            [keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255), *layers]
        )
        yield from [network] * len(FITS)  # one a fit; the other families have that of their turn
        return
    for number, options in enumerate(OPTIONS.get(name, ("",))):
        yield models.build(
            name,
            image_size=SIZES.get(name, 32),
            num_classes=2,
            seed=0,
            l2=1e-4,
            dropout=0.5,
            options=options,
            hidden_units=2 * number if name == "resnet" else 0,
        )


def held(file: Path, graph: Path) -> dict[str, set[str]]:
    """Return what an export holds, kind → names; see ``allow_list.allowed`` for the kinds."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    content = SavedModel.FromString((graph / "saved_model.pb").read_bytes())
    (meta,) = content.meta_graphs
    found["messages"] |= {*_messages(content)}
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
        for attributes in (function.attr, *(each.attr for each in function.arg_attr.values())):
            found["function_attributes"] |= {*attributes}
    for kind, nodes in bodies:
        for node in nodes:
            found[kind].add(node.op)
            found["devices"].add(node.device)
            found["attributes"] |= {name for name in node.attr if name.startswith("_")}
    with h5py.File(file, "r") as opened:
        found["network"] |= {*_classes(json.loads(opened.attrs["model_config"]))}
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


def _classes(value: Any) -> Iterator[str]:
    """Yield the classes in a configuration: ``keras>DTypePolicy``, ``>Conv2D``."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and "class_name" in value:
        yield f"{value.get('module') or ''}>{value['class_name']}"
    for each in inner:
        yield from _classes(each)


def main(names: list[str]) -> None:
    """Write the list."""
    found = {kind: {*EARLIER.get(kind, ())} for kind in KINDS}
    if names:
        found |= {kind: {*stated} for kind, stated in json.loads(LIST.read_text()).items()}
    for name in names or ALL:
        with tempfile.TemporaryDirectory() as folder:
            for file, graph in exported(name, Path(folder)):
                for kind, new in held(file, graph).items():
                    print(name, kind, sorted(new - found[kind]), flush=True)
                    found[kind] |= new
    lists = {kind: sorted(each) for kind, each in found.items()}
    LIST.write_text(json.dumps(lists, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
