package artifact

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	attr_value "github.com/wamuir/graft/tensorflow/core/framework/attr_value_go_proto"
	function "github.com/wamuir/graft/tensorflow/core/framework/function_go_proto"
	node_def "github.com/wamuir/graft/tensorflow/core/framework/node_def_go_proto"
	tensor "github.com/wamuir/graft/tensorflow/core/framework/tensor_go_proto"
	types "github.com/wamuir/graft/tensorflow/core/framework/types_go_proto"
	protos "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A SavedModel is a program, and the hashes of a contract do not say who wrote it. This file is
// cnnlab/artifact/allow_list.py once more, check by check: that one says what is promised, and
// tests/backend/test_go_graph.py that the two agree.

const (
	graphName     = savedModelName + "/saved_model.pb"
	maxGraphBytes = 64 << 20
	maxFunctions  = 100_000
	maxNodes      = 2_000_000 // after every function is written out where it is called
	maxNesting    = 100       // of messages in one another; TensorFlow reads no more
	initName      = "__saved_model_init_op"
	mainOpName    = "saved_model_main_op"
)

var (
	graphFiles = []string{
		savedModelName + "/fingerprint.pb",
		graphName,
		savedModelName + "/variables/variables.data-00000-of-00001",
		savedModelName + "/variables/variables.index",
	}
	signatureNames = []string{"prepare", "predict", "predict_bytes"}
	callNames      = []string{"StatefulPartitionedCall", "PartitionedCall"}
	childName      = regexp.MustCompile(`^[0-9a-z][0-9a-z_]*$`)
)

// allowedJSON is the file of the same name of the Python package, byte for byte.
//
//go:embed allowed.json
var allowedJSON []byte

// allowed holds its lists as sets.
var allowed = func() map[string]set {
	var lists map[string][]string
	if err := json.Unmarshal(allowedJSON, &lists); err != nil {
		panic(fmt.Sprintf("allowed.json: %v", err))
	}
	sets := map[string]set{}
	for kind, names := range lists {
		sets[kind] = newSet(names)
	}
	return sets
}()

type set map[string]bool

func newSet(names []string) set {
	made := set{}
	for _, name := range names {
		made[name] = true
	}
	return made
}

// foreign is something that no export of cnnlab holds.
type foreign string

func (f foreign) Error() string { return string(f) }

func foreignf(format string, values ...any) error { return foreign(fmt.Sprintf(format, values...)) }

// checkGraph refuses a SavedModel that holds anything but what an export holds, before TensorFlow
// opens it.
func checkGraph(folder string, files map[string]string) error {
	err := checkGraphFiles(files)
	if err == nil {
		var content []byte
		if content, err = readGraph(folder); err == nil {
			err = CheckGraph(content)
		}
	}
	if found, is := err.(foreign); is {
		return &Refused{CodeForeign, folder, graphName, string(found)}
	}
	return err
}

// checkGraphFiles refuses others: TensorFlow prefers some to the graph where they lie beside it.
func checkGraphFiles(files map[string]string) error {
	for name := range files {
		if strings.HasPrefix(name, savedModelName+"/") && !slices.Contains(graphFiles, name) {
			return foreignf("%s is unexpected", brief(name))
		}
	}
	for _, name := range graphFiles {
		if _, listed := files[name]; !listed {
			return foreignf("%s is missing", brief(name))
		}
	}
	return nil
}

func readGraph(folder string) ([]byte, error) {
	file, err := openRegular(folder, graphName)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var content bytes.Buffer
	if _, err := io.Copy(&content, io.LimitReader(file, maxGraphBytes+1)); err != nil {
		return nil, fmt.Errorf("reading %s in %s: %w", graphName, folder, err)
	}
	return content.Bytes(), nil
}

// CheckGraph refuses the bytes of a saved_model.pb that are not of an export's kind.
func CheckGraph(content []byte) error {
	if len(content) > maxGraphBytes {
		return foreignf("it has more than %d bytes", maxGraphBytes)
	}
	var model protos.SavedModel
	options := proto.UnmarshalOptions{RecursionLimit: maxNesting}
	if err := options.Unmarshal(content, &model); err != nil {
		return foreignf("it is no SavedModel")
	}
	// With the same options, so that it cannot fail: this is the graph without unknown fields.
	size := proto.Size(&model)
	options.DiscardUnknown = true
	if err := options.Unmarshal(content, &model); err != nil {
		return foreignf("it is no SavedModel")
	}
	if size != len(content) || proto.Size(&model) != size {
		return foreignf("it has fields that nobody knows, or is written in another way")
	}
	if len(model.MetaGraphs) != 1 {
		return foreignf("it holds %d graphs: expected one", len(model.MetaGraphs))
	}
	if err := checkMessages(model.ProtoReflect()); err != nil {
		return err
	}
	checked := graphCheck{meta: model.MetaGraphs[0]}
	for _, step := range []func() error{
		checked.index, checked.findSavers, checked.signatures, checked.objects, checked.bodies,
		checked.size,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// checkMessages refuses messages of other types, wherever they are outside the graph.
func checkMessages(message protoreflect.Message) (err error) {
	kind := string(message.Descriptor().FullName())
	if !allowed["messages"][kind] {
		return foreignf("it holds a %s", kind)
	}
	check := func(value protoreflect.Value) bool {
		err = checkMessages(value.Message())
		return err == nil
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil || field.FullName() == "tensorflow.MetaGraphDef.graph_def":
		case field.IsMap():
			if field.MapValue().Message() != nil {
				value.Map().Range(func(_ protoreflect.MapKey, entry protoreflect.Value) bool {
					return check(entry)
				})
			}
		case field.IsList():
			for index := 0; index < value.List().Len() && check(value.List().Get(index)); index++ {
			}
		default:
			check(value)
		}
		return err == nil
	})
	return err
}

// graphCheck is one graph and what is known of it so far.
type graphCheck struct {
	meta      *protos.MetaGraphDef
	nodes     map[string]*node_def.NodeDef
	functions map[string]*function.FunctionDef
	// The two calls that every SavedModel has for its weights: nodes of the main graph, and the
	// function of each with its role, restore or save.
	saverNodes     set
	saverFunctions map[string]string
	// The functions that each function calls, as often as it does; under "" the main graph.
	called map[string][]string
}

func (g *graphCheck) index() error {
	if tags := g.meta.GetMetaInfoDef().GetTags(); len(tags) != 1 || tags[0] != "serve" {
		return foreignf("its tags are not those of an export")
	}
	library := g.meta.GetGraphDef().GetLibrary()
	if len(library.GetGradient()) > 0 {
		return foreignf("it has gradients of functions")
	}
	g.functions = map[string]*function.FunctionDef{}
	for _, each := range library.GetFunction() {
		g.functions[each.GetSignature().GetName()] = each
	}
	g.nodes = map[string]*node_def.NodeDef{}
	for _, each := range g.meta.GetGraphDef().GetNode() {
		g.nodes[each.GetName()] = each
	}
	if len(g.functions) != len(library.GetFunction()) ||
		len(g.nodes) != len(g.meta.GetGraphDef().GetNode()) {
		return foreignf("two functions or nodes have one name")
	}
	if len(g.functions) > maxFunctions { // measured in depth, each on top of the one that calls it
		return foreignf("it has more than %d functions", maxFunctions)
	}
	return nil
}

// findSavers finds the calls that restore and save the weights, whose files must be the caller's:
// TensorFlow runs the first when it opens the folder, and hands it the path of variables/.
func (g *graphCheck) findSavers() error {
	saver := g.meta.GetSaverDef()
	file, _, _ := strings.Cut(saver.GetFilenameTensorName(), ":")
	if g.nodes[file].GetOp() != "Placeholder" {
		return foreignf("the file of its weights is not the caller's choice")
	}
	g.saverNodes, g.saverFunctions = set{}, map[string]string{}
	for _, each := range []struct{ role, tensor string }{
		{"restore", saver.GetRestoreOpName()}, {"save", saver.GetSaveTensorName()},
	} {
		name, _, _ := strings.Cut(each.tensor, ":")
		node := g.nodes[name]
		if !slices.Contains(callNames, node.GetOp()) || !firstIs(node, file) {
			return foreignf("its saver names %s to %s the weights", brief(name), each.role)
		}
		g.saverNodes[name] = true
		g.saverFunctions[node.GetAttr()["f"].GetFunc().GetName()] = each.role
	}
	if len(g.saverFunctions) != 2 {
		return foreignf("its saver has not one function to restore and one to save")
	}
	for name, role := range g.saverFunctions {
		body, found := g.functions[name]
		if !found {
			return foreignf("its saver has not one function to restore and one to save")
		}
		arguments := body.GetSignature().GetInputArg()
		for _, node := range body.GetNodeDef() {
			if role == "restore" && node.GetOp() == "RestoreV2" &&
				(len(arguments) == 0 || !firstIs(node, arguments[0].GetName())) {
				return foreignf("function %s restores weights from another file", brief(name))
			}
		}
	}
	return nil
}

func firstIs(node *node_def.NodeDef, input string) bool {
	return len(node.GetInput()) > 0 && node.GetInput()[0] == input
}

// signatures refuses signatures that are others, or that reach the saver; and what runs at the
// start.
func (g *graphCheck) signatures() error {
	stated := g.meta.GetSignatureDef()
	first, found := stated[initName]
	if !found || len(stated) != len(signatureNames)+1 {
		return foreignf("its signatures are not those of an export")
	}
	var starts []string
	for _, info := range first.GetOutputs() {
		starts = append(starts, info.GetName())
	}
	for name, collection := range g.meta.GetCollectionDef() {
		if name != mainOpName {
			return foreignf("its signatures are not those of an export")
		}
		starts = append(starts, collection.GetNodeList().GetValue()...)
	}
	for _, name := range starts {
		if node := g.nodes[name]; node.GetOp() != "NoOp" || len(node.GetInput()) > 0 {
			return foreignf("it runs %s when it is loaded", brief(name))
		}
	}
	for _, name := range signatureNames {
		signature, found := stated[name]
		if !found {
			return foreignf("its signatures are not those of an export")
		}
		for _, infos := range []map[string]*protos.TensorInfo{
			signature.GetInputs(), signature.GetOutputs(),
		} {
			for _, info := range infos {
				node, _, _ := strings.Cut(info.GetName(), ":")
				if g.nodes[node] == nil || g.saverNodes[node] {
					return foreignf("a signature names the tensor %s", brief(info.GetName()))
				}
			}
		}
	}
	return nil
}

// objects refuses those that TensorFlow's Python loader would make something else of.
func (g *graphCheck) objects() error {
	graph := g.meta.GetObjectGraphDef()
	if len(graph.GetNodes()) == 0 { // TensorFlow would take it for a model of its first version
		return foreignf("it holds no objects")
	}
	var named []string
	for name := range graph.GetConcreteFunctions() {
		named = append(named, name)
	}
	for _, gradient := range g.meta.GetGraphDef().GetLibrary().GetRegisteredGradients() {
		named = append(named, gradient.GetGradientFunc())
	}
	for _, node := range graph.GetNodes() {
		for _, kind := range []string{node.GetRegisteredName(), node.GetUserObject().GetIdentifier()} {
			if !allowed["objects"][kind] {
				return foreignf("one of its objects is a %s", brief(kind))
			}
		}
		if node.GetRegisteredSaver() != "" {
			return foreignf("one of its objects has a saver of its own")
		}
		if bare := node.GetBareConcreteFunction(); bare != nil {
			named = append(named, bare.GetConcreteFunctionName())
		}
		if captured := node.GetCapturedTensor(); captured != nil {
			named = append(named, captured.GetConcreteFunction())
		}
		for _, child := range node.GetChildren() {
			if !childName.MatchString(child.GetLocalName()) {
				return foreignf("one of its objects is called %s", brief(child.GetLocalName()))
			}
		}
	}
	for _, name := range named {
		if g.functions[name] == nil || g.saverFunctions[name] != "" {
			return foreignf("one of its objects is the function %s", brief(name))
		}
	}
	return nil
}

// bodies refuses operations, attributes and devices, in the main graph and in every function.
func (g *graphCheck) bodies() error {
	found, err := g.body("", g.meta.GetGraphDef().GetNode(), allowed["operations"])
	if err != nil {
		return err
	}
	g.called = map[string][]string{"": found}
	for node := range g.saverNodes {
		at := slices.Index(g.called[""], g.nodes[node].GetAttr()["f"].GetFunc().GetName())
		g.called[""] = slices.Delete(g.called[""], at, at+1)
	}
	for name, body := range g.functions {
		if name == "" || allowed["operations"][name] || allowed["restore"][name] || allowed["save"][name] {
			return foreignf("a function is called %s", brief(name)) // in the operation's place
		}
		for attribute := range body.GetAttr() {
			if !allowed["function_attributes"][attribute] {
				return foreignf("%s has the attribute %s", place(name), brief(attribute))
			}
		}
		for _, argument := range body.GetArgAttr() {
			for attribute := range argument.GetAttr() {
				if !allowed["function_attributes"][attribute] {
					return foreignf("%s has the attribute %s", place(name), brief(attribute))
				}
			}
		}
		kind := "operations"
		if role := g.saverFunctions[name]; role != "" {
			kind = role
		}
		if g.called[name], err = g.body(name, body.GetNodeDef(), allowed[kind]); err != nil {
			return err
		}
	}
	for name, names := range g.called {
		for _, target := range names {
			if g.functions[target] == nil || g.saverFunctions[target] != "" {
				return foreignf("%s calls the function %s", place(name), brief(target))
			}
		}
	}
	return nil
}

// body returns the functions that the nodes of a function, or under "" of the main graph, call.
func (g *graphCheck) body(name string, nodes []*node_def.NodeDef, operations set) ([]string, error) {
	var called []string
	for _, node := range nodes {
		switch {
		case !operations[node.GetOp()]:
			return nil, foreignf("there is the operation %s in %s", brief(node.GetOp()), place(name))
		case !allowed["devices"][node.GetDevice()]:
			return nil, foreignf("%s in %s is to run on %s", node.GetOp(), place(name), brief(node.GetDevice()))
		}
		for _, input := range node.GetInput() {
			from, _, _ := strings.Cut(strings.TrimPrefix(input, "^"), ":")
			if name == "" && g.saverNodes[from] {
				return nil, foreignf("%s in %s uses the saver", brief(node.GetName()), place(name))
			}
		}
		for attribute, value := range node.GetAttr() {
			if strings.HasPrefix(attribute, "_") && !allowed["attributes"][attribute] {
				return nil, foreignf("%s in %s has the attribute %s", node.GetOp(), place(name), brief(attribute))
			}
			found, err := attributeFunctions(value, place(name))
			if err != nil {
				return nil, err
			}
			called = append(called, found...)
		}
	}
	return called, nil
}

// attributeFunctions returns the functions that an attribute names, and refuses values that stand
// for objects.
func attributeFunctions(value *attr_value.AttrValue, where string) ([]string, error) {
	var stated []*attr_value.NameAttrList
	var tensors []*tensor.TensorProto
	switch content := value.GetValue().(type) {
	case nil, *attr_value.AttrValue_Placeholder:
		return nil, foreignf("there is an attribute without a value in %s", where)
	case *attr_value.AttrValue_Tensor:
		tensors = append(tensors, content.Tensor)
	case *attr_value.AttrValue_Func:
		stated = append(stated, content.Func)
	case *attr_value.AttrValue_List:
		stated, tensors = content.List.GetFunc(), content.List.GetTensor()
	}
	for _, each := range tensors {
		if !numberOrText(each.GetDtype()) {
			return nil, foreignf("there is a constant in %s that is an object", where)
		}
	}
	var names []string
	for _, each := range stated {
		if len(each.GetAttr()) > 0 {
			return nil, foreignf("a function is called with attributes in %s", where)
		}
		names = append(names, each.GetName())
	}
	return names, nil
}

// numberOrText tells what constants may hold. TensorFlow makes objects of plain bytes
// (tensor_content), too: only the type tells.
func numberOrText(kind types.DataType) bool {
	return kind >= types.DataType_DT_FLOAT && kind <= types.DataType_DT_HALF ||
		kind == types.DataType_DT_UINT32 || kind == types.DataType_DT_UINT64
}

// size refuses functions that call themselves, or that are too large once they are written out.
func (g *graphCheck) size() error {
	sizes, open := map[string]int{}, set{}
	var measure func(name string) error
	measure = func(name string) error {
		if _, known := sizes[name]; known {
			return nil
		}
		if open[name] {
			return foreignf("%s ends up calling itself", place(name))
		}
		open[name] = true
		total := len(g.functions[name].GetNodeDef())
		for _, target := range g.called[name] {
			if err := measure(target); err != nil {
				return err
			}
			if total += sizes[target]; total > maxNodes {
				return foreignf("%s has more than %d nodes, written out", place(name), maxNodes)
			}
		}
		sizes[name] = total
		return nil
	}
	for name := range g.called {
		if err := measure(name); err != nil {
			return err
		}
	}
	return nil
}

func place(function string) string {
	if function == "" {
		return "the main graph"
	}
	return "function " + brief(function)
}
