"""SavedModels that no export of cnnlab is, made of one that is: each by one change.

``corpus`` gives the bytes of graphs with the verdict that both languages must give; ``resealed``
puts a changed graph into a model folder whose contract fits it.
"""

from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

from cnnlab.artifact import contract
from cnnlab.engine import SavedModel, tf

PB = "saved_model/saved_model.pb"
FOREIGN = "foreign_model"
Change = Callable[[Any], None]


def corpus(content: bytes) -> dict[str, tuple[bytes, str]]:
    """Return graphs by name, each with its verdict.

    Args:
        content: ``saved_model.pb`` of a network with ``prepare``, ``predict``, ``predict_bytes``.
    """
    found = {"as it is": (content, "ok")}
    for changes, verdict in ((GOOD, "ok"), (HOSTILE, FOREIGN)):
        for name, change in changes.items():
            found[name] = (changed(content, change), verdict)
    for name, raw in {
        "empty": b"",
        "no protocol buffer": b"\xff" * 100,
        "cut": content[: len(content) // 2],
        "graph of another kind": b"\x0a\x02\x08\x01",
        "unknown field": content + b"\xfa\x3e\x01x",
        "a field of another length": content.replace(b"\x08\x01", b"\x08\x81\x00", 1),
        "the graph twice": content + SavedModel(meta_graphs=[_parsed(content)]).SerializeToString(),
    }.items():
        found[name] = (raw, FOREIGN)
    return found


def changed(content: bytes, change: Change) -> bytes:
    """Return the bytes of a graph after a change of its MetaGraphDef."""
    model = SavedModel.FromString(content)
    change(model.meta_graphs[0])
    return model.SerializeToString()


def resealed(folder: Path, target: Path, change: Change) -> Path:
    """Copy a model folder with its graph changed and a contract that fits."""
    copytree(folder, target)
    (target / PB).write_bytes(changed((target / PB).read_bytes(), change))
    contract.write_contract(target, contract.read_contract(target))
    return target


def writes(path: Path, function: str = "prepare") -> Change:
    """Return the change by which a function writes a file whenever it runs."""

    def change(meta: Any) -> None:
        body = _function(meta, function)
        for name, value in (("where", str(path)), ("what", "pwned")):
            _text(body.node_def.add(), name, value)
        body.node_def.add(name="write", op="WriteFile", input=["where:output:0", "what:output:0"])
        _nodes(body, "Identity")[0].input.append("^write")

    return change


def reads(path: Path) -> Change:
    """Return the change by which ``prepare`` reads a file whenever it runs."""

    def change(meta: Any) -> None:
        body = _function(meta, "prepare")
        _text(body.node_def.add(), "where", str(path))
        body.node_def.add(name="read", op="ReadFile", input=["where:output:0"])
        _nodes(body, "Identity")[0].input.append("^read")

    return change


def _parsed(content: bytes) -> Any:
    return SavedModel.FromString(content).meta_graphs[0]


def _text(node: Any, name: str, value: str) -> None:
    """Make a node a constant string."""
    node.name, node.op = name, "Const"
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))


def _function(meta: Any, name: str) -> Any:
    """Return the function whose name begins so, behind TensorFlow's prefix."""
    for function in meta.graph_def.library.function:
        if function.signature.name.startswith((f"__inference_{name}_", name)):
            return function
    raise LookupError(name)


def _nodes(graph: Any, op: str) -> list[Any]:
    return [node for node in getattr(graph, "node_def", None) or graph.node if node.op == op]


def _saver(meta: Any, role: str) -> Any:
    """Return the node of the main graph that saves or restores."""
    wanted = (
        meta.saver_def.restore_op_name if role == "restore" else meta.saver_def.save_tensor_name
    )
    return next(node for node in meta.graph_def.node if node.name == wanted.partition(":")[0])


def _operation(op: str, function: str = "prepare") -> Change:
    def change(meta: Any) -> None:
        _function(meta, function).node_def.add(name="more", op=op)

    return change


def _in_main_graph(op: str) -> Change:
    return lambda meta: meta.graph_def.node.add(name="more", op=op) and None


def _new_function(meta: Any, name: str, *ops: str) -> Any:
    new = meta.graph_def.library.function.add()
    new.signature.name = name
    for number, op in enumerate(ops):
        new.node_def.add(name=f"node{number}", op=op)
    return new


def _call(nodes: Any, name: str, target: str, op: str = "StatefulPartitionedCall") -> Any:
    node = nodes.add(name=name, op=op)
    node.attr["f"].func.name = target
    return node


def _calls_saver(role: str) -> Change:
    def change(meta: Any) -> None:
        target = _saver(meta, role).attr["f"].func.name
        _call(_function(meta, "prepare").node_def, "more", target)

    return change


def _called_by_name(meta: Any) -> None:
    _new_function(meta, "mine", "NoOp")
    _function(meta, "prepare").node_def.add(name="more", op="mine")


def _saver_by_name(meta: Any) -> None:
    target = _saver(meta, "save").attr["f"].func.name
    _function(meta, "prepare").node_def.add(name="more", op=target)


def _saver_as_operation(meta: Any) -> None:
    """Give the function that saves the name of an operation that networks use."""
    node = _saver(meta, "save")
    old = node.attr["f"].func.name
    for function in meta.graph_def.library.function:
        if function.signature.name == old:
            function.signature.name = "Relu"
    node.attr["f"].func.name = "Relu"


def _signature_is(role: str) -> Change:
    def change(meta: Any) -> None:
        output = meta.signature_def["prepare"].outputs["pixels"]
        output.name = f"{_saver(meta, role).name}:0"

    return change


def _starts_with(role: str) -> Change:
    def change(meta: Any) -> None:
        name = _saver(meta, role).name
        meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = name

    return change


def _starts_with_collection(meta: Any) -> None:
    name = _saver(meta, "save").name
    meta.collection_def["saved_model_main_op"].node_list.value[:] = [name]


def _start_depends(meta: Any) -> None:
    _nodes(meta.graph_def, "NoOp")[0].input.append(f"^{_saver(meta, 'save').name}")


def _restores_by(role: str) -> Change:
    def change(meta: Any) -> None:
        meta.saver_def.restore_op_name = "" if not role else _saver(meta, role).name

    return change


def _restores_from_constant(meta: Any) -> None:
    body = _function(meta, "_traced_restore")
    _text(body.node_def.add(), "where", "/etc/passwd")
    _nodes(body, "RestoreV2")[0].input[0] = "where:output:0"


def _file_is_constant(meta: Any) -> None:
    _text(meta.graph_def.node.add(), "where", "/etc/passwd")
    _saver(meta, "restore").input[0] = "where"


def _saver_file_is_constant(meta: Any) -> None:
    _file_is_constant(meta)
    _saver(meta, "save").input[0] = "where"
    meta.saver_def.filename_tensor_name = "where:0"


def _one_saver_function(meta: Any) -> None:
    _saver(meta, "restore").attr["f"].func.name = _saver(meta, "save").attr["f"].func.name


def _restore_writes(meta: Any) -> None:
    _function(meta, "_traced_restore").node_def.add(name="more", op="MergeV2Checkpoints")


def _uses_saver(prefix: str) -> Change:
    def change(meta: Any) -> None:
        name = _saver(meta, "save").name
        meta.graph_def.node.add(name="more", op="Identity", input=[f"{prefix}{name}"])

    return change


def _device(device: str) -> Change:
    def change(meta: Any) -> None:
        _nodes(_function(meta, "prepare"), "Identity")[0].device = device

    return change


def _attribute(name: str) -> Change:
    def change(meta: Any) -> None:
        _nodes(_function(meta, "prepare"), "Identity")[0].attr[name].s = b"x"

    return change


def _function_attribute(name: str) -> Change:
    def change(meta: Any) -> None:
        _function(meta, "prepare").attr[name].s = b"x"

    return change


def _no_value(meta: Any) -> None:
    _nodes(_function(meta, "prepare"), "Identity")[0].attr["T"].Clear()


def _hidden_entry(part: Callable[[Any], Any], field: int) -> Change:
    """Add an entry of a map that Python keeps as unknown bytes, and C++ takes for an attribute.

    Args:
        part: Finds the message with the map.
        field: The number of the map in it, up to 15.
    """
    entry = b"\x0a\x05_evil" + b"\x12\x03\x12\x01x" + b"\x3a\x01?"  # key, value, field 7

    def change(meta: Any) -> None:
        part(meta).MergeFromString(bytes([field << 3 | 2, len(entry)]) + entry)

    return change


def _called(meta: Any) -> Any:
    """Return what a call of an allowed function says of it."""
    _new_function(meta, "mine", "NoOp")
    return _call(_function(meta, "prepare").node_def, "more", "mine").attr["f"].func


def _placeholder(meta: Any) -> None:
    _function(meta, "prepare").node_def[0].attr["more"].placeholder = "F"


def _function_with_attributes(meta: Any) -> None:
    _new_function(meta, "mine", "NoOp")
    node = _call(_function(meta, "prepare").node_def, "more", "mine")
    node.attr["f"].func.attr["T"].s = b"x"


def _resource_constant(meta: Any) -> None:
    node = _function(meta, "prepare").node_def.add(name="more", op="Const")
    node.attr["value"].tensor.resource_handle_val.add(name="x", device="/job:evil")


def _variant_constant(meta: Any) -> None:
    node = _function(meta, "prepare").node_def.add(name="more", op="Const")
    node.attr["value"].tensor.variant_val.add(type_name="x")


def _constant_in_bytes(kind: tf.DType, *, listed: bool = False) -> Change:
    """TensorFlow reads objects from plain bytes as well as from fields of their own."""

    def change(meta: Any) -> None:
        node = _function(meta, "prepare").node_def.add(name="more", op="Const")
        value = node.attr["value"]
        constant = value.list.tensor.add() if listed else value.tensor
        constant.dtype = kind.as_datatype_enum
        constant.tensor_content = b"\x03\x1a\x01x"

    return change


def _calls_itself(meta: Any) -> None:
    _call(_new_function(meta, "mine").node_def, "again", "mine")


def _calls_in_a_circle(meta: Any) -> None:
    _call(_new_function(meta, "first").node_def, "next", "second", "PartitionedCall")
    _call(_new_function(meta, "second").node_def, "next", "first", "PartitionedCall")


def _grows(levels: int) -> Change:
    """Each function calls the one before it twice."""

    def change(meta: Any) -> None:
        _new_function(meta, "level0", "NoOp")
        for level in range(1, levels):
            body = _new_function(meta, f"level{level}").node_def
            for name in ("one", "two"):
                _call(body, name, f"level{level - 1}")

    return change


def _missing_function(meta: Any) -> None:
    _call(_function(meta, "prepare").node_def, "more", "nobody")


def _saver_in_list(meta: Any) -> None:
    node = _function(meta, "prepare").node_def.add(name="more", op="Identity")
    node.attr["branches"].list.func.add(name=_saver(meta, "save").attr["f"].func.name)


def _object(**fields: Any) -> Change:
    def change(meta: Any) -> None:
        meta.object_graph_def.nodes.add(**fields)

    return change


def _resource(meta: Any) -> None:
    meta.object_graph_def.nodes.add().resource.device = "CPU"


def _asset(meta: Any) -> None:
    meta.asset_file_def.add(filename="../../../etc/passwd").tensor_info.name = "saver_filename:0"


def _asset_object(meta: Any) -> None:
    meta.object_graph_def.nodes.add().asset.asset_file_def_index = 0


def _function_object(meta: Any) -> None:
    meta.object_graph_def.nodes.add().function.concrete_functions.append("mine")


def _saver_object(meta: Any) -> None:
    node = meta.object_graph_def.nodes.add()
    node.bare_concrete_function.concrete_function_name = _saver(meta, "save").attr["f"].func.name


def _saver_captured(meta: Any) -> None:
    node = meta.object_graph_def.nodes.add()
    node.captured_tensor.concrete_function = _saver(meta, "save").attr["f"].func.name


def _saver_concrete(meta: Any) -> None:
    meta.object_graph_def.concrete_functions[_saver(meta, "save").attr["f"].func.name].SetInParent()


def _saveable(meta: Any) -> None:
    meta.object_graph_def.nodes[0].saveable_objects["x"].save_function = 1


def _user_object(identifier: str) -> Change:
    def change(meta: Any) -> None:
        meta.object_graph_def.nodes.add().user_object.identifier = identifier

    return change


def _child(name: str) -> Change:
    def change(meta: Any) -> None:
        meta.object_graph_def.nodes[0].children.add(node_id=1, local_name=name)

    return change


def _type_spec(meta: Any) -> None:
    node = next(
        each for each in meta.object_graph_def.nodes if each.HasField("bare_concrete_function")
    )
    spec = node.bare_concrete_function.function_spec.fullargspec.type_spec_value
    spec.type_spec_class_name = "Own"


def _gradient(meta: Any) -> None:
    meta.graph_def.library.gradient.add(function_name="mine", gradient_func="mine")


def _saver_gradient(meta: Any) -> None:
    target = _saver(meta, "save").attr["f"].func.name
    meta.graph_def.library.registered_gradients.add(gradient_func=target, registered_op_type="x")


def _signature(meta: Any) -> None:
    meta.signature_def["more"].CopyFrom(meta.signature_def["prepare"])


def _default(meta: Any) -> None:
    meta.signature_def["prepare"].defaults["image_bytes"].CopyFrom(tf.make_tensor_proto("x"))


def _no_signature(meta: Any) -> None:
    del meta.signature_def["prepare"]


def _missing_tensor(meta: Any) -> None:
    meta.signature_def["prepare"].outputs["pixels"].name = "nobody:0"


def _collection(meta: Any) -> None:
    meta.collection_def["table_initializer"].node_list.value.append("NoOp")


def _bytes_collection(meta: Any) -> None:
    meta.collection_def["saved_model_main_op"].bytes_list.value.append(b"x")


def _any_info(meta: Any) -> None:
    meta.meta_info_def.any_info.type_url = "x"


def _same_node(meta: Any) -> None:
    meta.graph_def.node.add().CopyFrom(meta.graph_def.node[0])


def _same_function(meta: Any) -> None:
    meta.graph_def.library.function.add().CopyFrom(meta.graph_def.library.function[0])


def _tags(*tags: str) -> Change:
    def change(meta: Any) -> None:
        meta.meta_info_def.tags[:] = tags

    return change


def _unknown_in_node(meta: Any) -> None:
    _nodes(_function(meta, "prepare"), "Identity")[0].MergeFromString(b"\xfa\x3e\x01x")


GOOD: dict[str, Change] = {
    "an operation more": _operation("Relu"),
    "an operation of the main graph more": _in_main_graph("NoOp"),
    "a function more": lambda meta: _new_function(meta, "mine", "Identity", "Conv2D") and None,
    "a function called": lambda meta: (
        _new_function(meta, "mine", "NoOp"),
        _call(_function(meta, "prepare").node_def, "more", "mine"),
    )[0] and None,
    "few levels of functions": _grows(15),
    "another version": lambda meta: setattr(meta.meta_info_def, "tensorflow_version", "9.9"),
}  # fmt: skip

HOSTILE: dict[str, Change] = {
    # Operations: what reads, writes, connects, runs code, or is unknown, wherever it stands.
    **{
        f"{op} in a function": _operation(op)
        for op in (
            "ReadFile", "WriteFile", "MatchingFiles", "PyFunc", "EagerPyFunc", "PyFuncStateless",
            "TFRecordDataset", "TFRecordReaderV2", "FixedLengthRecordReaderV2", "WholeFileReaderV2",
            "TextLineDataset", "SaveDatasetV2", "LoadDataset", "RemoteCall", "RpcCall", "PrintV2",
            "DebugIdentityV2", "LookupTableFindV2", "InitializeTableFromTextFileV2", "HashTableV2",
            "CreateSummaryFileWriter", "WriteSummary", "RestoreV2", "SaveV2", "Save", "Restore",
            "MergeV2Checkpoints", "ShardedFilename", "AssignVariableOp", "Sneaky", "_Send", "",
            "conv2d", "Relu ", "Relu\u0000",
        )
    },
    "WriteFile in a branch": _operation("WriteFile", "cond_true"),
    "WriteFile in a loop": _operation("WriteFile", "map_while_body"),
    "WriteFile in a signature": _operation("WriteFile", "signature_wrapper_predict"),
    "WriteFile in the main graph": _in_main_graph("WriteFile"),
    "WriteFile that nothing calls": lambda meta: _new_function(meta, "m", "WriteFile") and None,
    "WriteFile in what saves": _operation("WriteFile", "_traced_save"),
    "WriteFile in what restores": _operation("WriteFile", "_traced_restore"),
    "RestoreV2 in the main graph": _in_main_graph("RestoreV2"),
    # Functions under other names.
    "an operation is a function": _called_by_name,
    "an operation is what saves": _saver_by_name,
    "a function called as an operation": lambda meta: _new_function(meta, "Relu", "NoOp") and None,
    "what saves called as an operation": _saver_as_operation,
    "a function without a name": lambda meta: _new_function(meta, "", "NoOp") and None,
    # The saver, reached.
    "a function calls what saves": _calls_saver("save"),
    "a function calls what restores": _calls_saver("restore"),
    "what saves in a list of functions": _saver_in_list,
    "a signature saves": _signature_is("save"),
    "a signature restores": _signature_is("restore"),
    "saves at the start": _starts_with("save"),
    "restores at the start": _starts_with("restore"),
    "saves at the start by a collection": _starts_with_collection,
    "the start waits for what saves": _start_depends,
    "a node uses what saves": _uses_saver(""),
    "a node waits for what saves": _uses_saver("^"),
    "saving restores": _restores_by("save"),
    "nothing restores": _restores_by(""),
    "one function saves and restores": _one_saver_function,
    "what restores deletes": _restore_writes,
    "weights from a constant path": _restores_from_constant,
    "weights from a constant path, given": _file_is_constant,
    "the saver's path is a constant": _saver_file_is_constant,
    "no saver": lambda meta: meta.ClearField("saver_def"),
    # Where and how operations run.
    "a remote device": _device("/job:evil/task:0"),
    "a GPU": _device("/device:GPU:0"),
    "compiled": _attribute("_XlaMustCompile"),
    "another class": _attribute("_class"),
    "an attribute of nobody": _attribute("_x"),
    "an implementation of another": _function_attribute("api_implements"),
    "a forward function": _function_attribute("forward_function_name"),
    "an attribute without a value": _no_value,
    "a function with attributes": _function_with_attributes,
    "an attribute to be filled in": _placeholder,
    "a hidden attribute of a function": _hidden_entry(lambda meta: _function(meta, "prepare"), 5),
    "a hidden attribute of a call": _hidden_entry(_called, 2),
    "a hidden attribute of a node": _hidden_entry(
        lambda meta: _function(meta, "prepare").node_def[0], 5
    ),
    "a constant resource": _resource_constant,
    "a constant object": _variant_constant,
    "a constant resource in bytes": _constant_in_bytes(tf.resource),
    "a constant object in bytes": _constant_in_bytes(tf.variant),
    "a constant resource in a list": _constant_in_bytes(tf.resource, listed=True),
    "a function calls itself": _calls_itself,
    "two functions call each other": _calls_in_a_circle,
    "sixty levels of functions": _grows(60),
    "a missing function": _missing_function,
    "two nodes of a name": _same_node,
    "two functions of a name": _same_function,
    "a field of a later version": _unknown_in_node,
    # What stands beside the graph.
    "tags": _tags("serve", "gpu"),
    "no tag": _tags(),
    "an asset": _asset,
    "an asset as an object": _asset_object,
    "a resource": _resource,
    "a function as an object": _function_object,
    "what saves as an object": _saver_object,
    "what saves as a function": _saver_concrete,
    "a tensor of what saves": _saver_captured,
    "a registered class": _object(registered_name="Own"),
    "a registered saver": _object(registered_saver="Own"),
    "saving by an object": _saveable,
    "an optimizer": _user_object("optimizer"),
    "a Keras model": _user_object("_tf_keras_model"),
    "an object that is called": _child("__call__"),
    "an object that is a class": _child("__class__"),
    "another type": _type_spec,
    "a gradient": _gradient,
    "what saves as a gradient": _saver_gradient,
    "another signature": _signature,
    "a signature less": _no_signature,
    "a default": _default,
    "a missing tensor": _missing_tensor,
    "another collection": _collection,
    "a collection of bytes": _bytes_collection,
    "anything": _any_info,
    "no graph": lambda meta: meta.Clear(),
    "no functions": lambda meta: meta.graph_def.library.Clear(),
    "no objects": lambda meta: meta.object_graph_def.Clear(),
    "a graph of TensorFlow 1": lambda meta: meta.ClearField("object_graph_def"),
}  # fmt: skip
