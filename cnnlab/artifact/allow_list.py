"""What the graph of a model folder may hold: what cnnlab's own exports hold, and nothing else.

A SavedModel is a program: ``WriteFile`` or ``PyFunc`` are operations like any other, and the hashes
of a contract say that nobody changed the files since, not who made them. So the graph is read, not
run, and compared with ``allowed.json``, which was derived from exports of every registered
network, before TensorFlow opens it. The Go server does the same (``backend/artifact/graph.go``).

What this promises: no operation of the graph reads or writes files but the one that restores the
weights, from the folder itself; none opens a connection, starts a process or runs Python. It does
not promise right answers, nor an end: a graph may loop for ever or ask for any amount of memory.
Faults of TensorFlow's own kernels, decoders and readers remain.
"""

import functools
import json
import re
from collections.abc import Iterable, Iterator, Set
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from cnnlab.artifact.integrity import ModelRefused, open_regular
from cnnlab.engine import SavedModel

FOLDER = "saved_model"
GRAPH = f"{FOLDER}/saved_model.pb"
FILES = {
    GRAPH,
    f"{FOLDER}/fingerprint.pb",
    f"{FOLDER}/variables/variables.index",
    f"{FOLDER}/variables/variables.data-00000-of-00001",
}
MAX_BYTES = 64 * 2**20  # of the graph; those of the largest networks have some 10 MB
MAX_FUNCTIONS = 100_000
MAX_NODES = 2_000_000  # after every function is written out where it is called
SIGNATURES = {"prepare", "predict", "predict_bytes"}
INIT = "__saved_model_init_op"
CALLS = {"StatefulPartitionedCall", "PartitionedCall"}
NUMBERS_AND_TEXT = frozenset(range(1, 20)) | {22, 23}  # of DataType; 20 and 21 are objects
CHILD_NAME = re.compile(r"[0-9a-z][0-9a-z_]*")
CODE = "foreign_model"


class Foreign(Exception):  # noqa: N818
    """Something that no export of cnnlab holds; the text says what and where."""


class Savers(NamedTuple):
    """The two calls that every SavedModel has for its weights.

    Attributes:
        nodes: Their nodes in the main graph.
        functions: The function that each calls → "restore" or "save".
    """

    nodes: set[str]
    functions: dict[str, str]


@functools.cache
def allowed(kind: str) -> frozenset[str]:
    """Return a list of ``allowed.json``.

    - ``operations``: of graphs and functions; ``restore`` and ``save`` those of the two functions
      that the saver calls, of which only the first ever runs
    - ``attributes``, ``function_attributes``: whose names TensorFlow does not check by itself
    - ``devices``
    - ``messages``, ``objects``: kinds of what is outside the graph
    - ``network``: classes in the configuration of the H5 file
    """
    text = resources.files("cnnlab.artifact").joinpath("allowed.json").read_text("utf-8")
    return frozenset(json.loads(text)[kind])


def check(folder: Path, names: Iterable[str]) -> None:
    """Raise unless the SavedModel of a folder holds nothing but what an export holds.

    Args:
        folder: A model folder whose hashes were checked.
        names: The POSIX paths of its files.

    Raises:
        ModelRefused: ``foreign_model``; the message names the operation and its function.
    """
    try:
        _check_files(names)
        with open_regular(folder, GRAPH) as file:
            content = file.read(MAX_BYTES + 1)
        check_graph(content)
    except Foreign as found:
        raise ModelRefused(
            CODE,
            f"{GRAPH} in {folder}: {found}. No network of cnnlab has that, so nothing is loaded "
            "from here or saved.",
        ) from None


def check_graph(content: bytes) -> None:
    """Raise Foreign unless the bytes of ``saved_model.pb`` are those of an export's kind."""
    if len(content) > MAX_BYTES:
        raise Foreign(f"it has more than {MAX_BYTES} bytes")
    try:
        model = SavedModel.FromString(content)
    except DecodeError:
        raise Foreign("it is no SavedModel") from None
    # What is unknown here may be known to TensorFlow's C++, which reads it written anew: a whole
    # entry of a map, where Python's reader found something else in it (protobuf's upb).
    size = model.ByteSize()
    model.DiscardUnknownFields()
    if not model.ByteSize() == size == len(content):
        raise Foreign("it has fields that nobody knows, or is written in another way")
    if len(model.meta_graphs) != 1:
        raise Foreign(f"it holds {len(model.meta_graphs)} graphs: expected one")
    meta = model.meta_graphs[0]
    if [*meta.meta_info_def.tags] != ["serve"]:
        raise Foreign("its tags are not those of an export")
    _check_messages(model)
    library = meta.graph_def.library
    if library.gradient:
        raise Foreign("it has gradients of functions")
    functions = {each.signature.name: each for each in library.function}
    nodes = {node.name: node for node in meta.graph_def.node}
    if len(functions) != len(library.function) or len(nodes) != len(meta.graph_def.node):
        raise Foreign("two functions or nodes have one name")
    if len(functions) > MAX_FUNCTIONS:
        raise Foreign(f"it has more than {MAX_FUNCTIONS} functions")
    savers = _savers(meta, nodes, functions)
    _check_signatures(meta, nodes, savers)
    gradients = {each.gradient_func for each in library.registered_gradients}
    _check_objects(meta.object_graph_def, gradients, functions.keys() - savers.functions.keys())
    _check_bodies(nodes, functions, savers)


def _check_files(names: Iterable[str]) -> None:
    """TensorFlow prefers some other files to the graph where they lie beside it."""
    found = {name for name in names if name.startswith(f"{FOLDER}/")}
    for name in sorted(found ^ FILES):
        raise Foreign(f"{_brief(name)} is {'unexpected' if name in found else 'missing'}")


def _check_messages(message: Any) -> None:
    """Refuse messages of other types, wherever they are outside the graph."""
    if message.DESCRIPTOR.full_name not in allowed("messages"):
        raise Foreign(f"it holds a {message.DESCRIPTOR.full_name}")
    for field, value in message.ListFields():
        if field.message_type is None or field.full_name == "tensorflow.MetaGraphDef.graph_def":
            continue
        if field.message_type.GetOptions().map_entry:
            inner = (
                value.values() if field.message_type.fields_by_name["value"].message_type else ()
            )
        else:
            inner = value if field.is_repeated else (value,)
        for each in inner:
            _check_messages(each)


def _savers(meta: Any, nodes: dict[str, Any], functions: dict[str, Any]) -> Savers:
    """Return the calls that restore and save the weights, whose files must be the caller's.

    TensorFlow runs the first when it opens the folder, and hands it the path of ``variables/``.
    """
    saver = meta.saver_def
    file, _, _ = saver.filename_tensor_name.partition(":")
    if file not in nodes or nodes[file].op != "Placeholder":
        raise Foreign("the file of its weights is not the caller's choice")
    found = Savers(set(), {})
    for role, tensor in (("restore", saver.restore_op_name), ("save", saver.save_tensor_name)):
        name = tensor.partition(":")[0]
        node = nodes.get(name)
        if node is None or node.op not in CALLS or [*node.input[:1]] != [file]:
            raise Foreign(f"its saver names {_brief(name)} to {role} the weights")
        found.nodes.add(name)
        found.functions[node.attr["f"].func.name] = role
    if len(found.functions) != 2 or not found.functions.keys() <= functions.keys():
        raise Foreign("its saver has not one function to restore and one to save")
    restore = next(name for name, role in found.functions.items() if role == "restore")
    body = functions[restore]
    for node in body.node_def:
        argument = body.signature.input_arg[0].name if body.signature.input_arg else None
        if node.op == "RestoreV2" and [*node.input[:1]] != [argument]:
            raise Foreign(f"function {_brief(restore)} restores weights from another file")
    return found


def _check_signatures(meta: Any, nodes: dict[str, Any], savers: Savers) -> None:
    """Refuse signatures that are others, or that reach the saver; and what runs at the start."""
    signatures = meta.signature_def
    if signatures.keys() != SIGNATURES | {INIT} or meta.collection_def.keys() - {
        "saved_model_main_op"
    }:
        raise Foreign("its signatures are not those of an export")
    starts = [info.name for info in signatures[INIT].outputs.values()]
    for collection in meta.collection_def.values():
        starts += collection.node_list.value
    for name in starts:
        node = nodes.get(name)
        if node is None or node.op != "NoOp" or node.input:
            raise Foreign(f"it runs {_brief(name)} when it is loaded")
    for signature in (signatures[name] for name in sorted(SIGNATURES)):
        for info in (*signature.inputs.values(), *signature.outputs.values()):
            name = info.name.partition(":")[0]
            if name not in nodes or name in savers.nodes:
                raise Foreign(f"a signature names the tensor {_brief(info.name)}")


def _check_objects(graph: Any, gradients: set[str], functions: Set[str]) -> None:
    """Refuse objects that TensorFlow's Python loader would make something else of.

    Args:
        graph: The objects.
        gradients: The functions that are gradients.
        functions: Those that may be named.
    """
    if not graph.nodes:  # TensorFlow would take it for a model of its first version
        raise Foreign("it holds no objects")
    named = {*graph.concrete_functions} | gradients
    for node in graph.nodes:
        for kind in (node.registered_name, node.user_object.identifier):
            if kind not in allowed("objects"):
                raise Foreign(f"one of its objects is a {_brief(kind)}")
        if node.registered_saver:
            raise Foreign("one of its objects has a saver of its own")
        if node.HasField("bare_concrete_function"):
            named.add(node.bare_concrete_function.concrete_function_name)
        if node.HasField("captured_tensor"):
            named.add(node.captured_tensor.concrete_function)
        for child in node.children:
            if not CHILD_NAME.fullmatch(child.local_name):
                raise Foreign(f"one of its objects is called {_brief(child.local_name)}")
    for name in sorted(named - functions):
        raise Foreign(f"one of its objects is the function {_brief(name)}")


def _check_bodies(nodes: dict[str, Any], functions: dict[str, Any], savers: Savers) -> None:
    """Refuse operations, attributes and devices, in the main graph and in every function."""
    everywhere = allowed("operations") | allowed("restore") | allowed("save")
    # Under the name "" the main graph.
    called = {"": _check_body("", nodes.values(), allowed("operations"), savers.nodes)}
    for node in savers.nodes:
        called[""].remove(nodes[node].attr["f"].func.name)
    for name, function in functions.items():
        if not name or name in everywhere:  # it would be called in the operation's place
            raise Foreign(f"a function is called {_brief(name)}")
        arguments = (each.attr for each in function.arg_attr.values())
        for attributes in (function.attr, *arguments):
            for attribute in sorted(attributes.keys() - allowed("function_attributes")):
                raise Foreign(f"function {_brief(name)} has the attribute {_brief(attribute)}")
        role = savers.functions.get(name, "operations")
        called[name] = _check_body(name, function.node_def, allowed(role))
    for place, names in called.items():
        for name in names:
            if name not in functions or name in savers.functions:
                raise Foreign(f"{_place(place)} calls the function {_brief(name)}")
    _check_size(called, {name: len(each.node_def) for name, each in functions.items()})


def _check_body(
    function: str, nodes: Iterable[Any], operations: frozenset[str], savers: Iterable[str] = ()
) -> list[str]:
    """Return the functions that the nodes of a graph call, each as often as it is called.

    Args:
        function: Its name, "" of the main graph.
        nodes: Its nodes.
        operations: What they may be.
        savers: Nodes whose results no other may use.
    """
    place, attributes, devices = _place(function), allowed("attributes"), allowed("devices")
    called: list[str] = []
    for node in nodes:
        if node.op not in operations:
            raise Foreign(f"there is the operation {_brief(node.op)} in {place}")
        if node.device not in devices:
            raise Foreign(f"{_brief(node.op)} in {place} is to run on {_brief(node.device)}")
        for name in node.input if savers else ():
            if name.removeprefix("^").partition(":")[0] in savers:
                raise Foreign(f"{_brief(node.name)} in {place} uses the saver")
        for name, value in node.attr.items():
            if name.startswith("_") and name not in attributes:
                raise Foreign(f"{_brief(node.op)} in {place} has the attribute {_brief(name)}")
            called += _functions(value, place)
    return called


def _functions(value: Any, place: str) -> Iterator[str]:
    """Yield the functions that an attribute names; refuse values that stand for objects."""
    kind = value.WhichOneof("value")
    if kind in (None, "placeholder"):
        raise Foreign(f"there is an attribute without a value in {place}")
    tensors = [value.tensor] if kind == "tensor" else value.list.tensor if kind == "list" else ()
    # By its type: TensorFlow makes objects of plain bytes (tensor_content), too.
    if any(tensor.dtype not in NUMBERS_AND_TEXT for tensor in tensors):
        raise Foreign(f"there is a constant in {place} that is an object")
    stated = [value.func] if kind == "func" else value.list.func if kind == "list" else ()
    for each in stated:
        if each.attr:
            raise Foreign(f"a function is called with attributes in {place}")
        yield each.name


def _check_size(called: dict[str, list[str]], nodes: dict[str, int]) -> None:
    """Refuse functions that call themselves, or that are too large once they are written out."""
    sizes: dict[str, int] = {}
    open_now: set[str] = set()
    stack = [*called]
    while stack:
        name = stack[-1]
        waiting = [each for each in called[name] if each not in sizes]
        if name in sizes or not waiting:
            stack.pop()
            open_now.discard(name)
            sizes[name] = nodes.get(name, 0) + sum(sizes[each] for each in called[name])
            if sizes[name] > MAX_NODES:
                raise Foreign(f"{_place(name)} has more than {MAX_NODES} nodes, written out")
            continue
        open_now.add(name)
        if open_now & {*waiting}:
            raise Foreign(f"function {_brief(name)} ends up calling itself")
        stack += waiting


def _place(function: str) -> str:
    return f"function {_brief(function)}" if function else "the main graph"


def _brief(name: str) -> str:
    """Return a name as printable ASCII of bounded length."""
    text = ascii(name)
    return text if len(text) <= 80 else f"{text[:50]}...{text[-25:]}"
