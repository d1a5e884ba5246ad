package predictor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	tf "github.com/wamuir/graft/tensorflow"
	protos "github.com/wamuir/graft/tensorflow/core/protobuf/for_core_protos_go_proto"
	"google.golang.org/protobuf/proto"

	"cnnlab/backend/validation"
)

// graph is an opened SavedModel with the signatures prepare and predict.
type graph struct {
	session          *tf.Session
	prepare, predict signature
	imageSize        int
	classes          int
}

// signature is where a computation takes its one tensor and where it leaves its one.
type signature struct{ input, output tf.Output }

// openGraph loads a SavedModel. Threads of 0 leave the number to TensorFlow.
func openGraph(folder string, imageSize, classes, intraOp, interOp int) (*graph, error) {
	config, err := proto.Marshal(&protos.ConfigProto{
		IntraOpParallelismThreads: int32(intraOp),
		InterOpParallelismThreads: int32(interOp),
	})
	if err != nil {
		return nil, fmt.Errorf("writing the session's options: %w", err)
	}
	model, err := tf.LoadSavedModel(folder, []string{"serve"}, &tf.SessionOptions{Config: config})
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", folder, err)
	}
	opened := &graph{session: model.Session, imageSize: imageSize, classes: classes}
	for _, wanted := range []struct {
		found               *signature
		name, input, output string
	}{
		{&opened.prepare, "prepare", "image_bytes", "pixels"},
		{&opened.predict, "predict", "pixels", "probabilities"},
	} {
		*wanted.found, err = findSignature(model, wanted.name, wanted.input, wanted.output)
		if err != nil {
			return nil, errors.Join(err, opened.Close())
		}
	}
	return opened, nil
}

func findSignature(model *tf.SavedModel, name, input, output string) (signature, error) {
	described := model.Signatures[name]
	from, err := findOutput(model.Graph, described.Inputs[input].Name)
	if err != nil {
		return signature{}, fmt.Errorf("signature %s, input %s: %w", name, input, err)
	}
	to, err := findOutput(model.Graph, described.Outputs[output].Name)
	if err != nil {
		return signature{}, fmt.Errorf("signature %s, output %s: %w", name, output, err)
	}
	return signature{from, to}, nil
}

// findOutput returns the tensor of a name such as StatefulPartitionedCall:0.
func findOutput(model *tf.Graph, name string) (tf.Output, error) {
	operation, number, _ := strings.Cut(name, ":")
	index, err := strconv.Atoi(number)
	found := model.Operation(operation)
	if err != nil || found == nil || index < 0 || index >= found.NumOutputs() {
		return tf.Output{}, fmt.Errorf("there is no tensor %q", name)
	}
	return found.Output(index), nil
}

// Prepare decodes an admitted image: the bytes of JPEG or PNG → uint8 (S, S, 3), as one slice.
func (g *graph) Prepare(image []byte) ([]byte, error) {
	// NewTensor copies the text, so nothing sees the bytes change.
	tensor, err := tf.NewTensor(unsafe.String(unsafe.SliceData(image), len(image)))
	if err != nil {
		return nil, fmt.Errorf("making a tensor of an image: %w", err)
	}
	pixels, err := g.run(g.prepare, tensor)
	if err != nil {
		return nil, decodingError(err)
	}
	if expected := g.imageSize * g.imageSize * 3; len(pixels) != expected {
		return nil, fmt.Errorf("the graph prepared %d bytes: expected %d", len(pixels), expected)
	}
	return pixels, nil
}

// decodingError tells a bad image from a machine in need. The binding gives no code, only the
// message: whatever is not lack of memory was said of the image.
func decodingError(err error) error {
	if strings.Contains(err.Error(), "OOM when allocating") {
		return fmt.Errorf("decoding an image: %w", err)
	}
	return &validation.Rejected{
		Code: validation.CodeCorrupt, Message: "The image data cannot be decoded.",
	}
}

// Predict runs the network on prepared images: B × uint8 (S, S, 3) → B × float32 (C).
func (g *graph) Predict(images [][]byte) ([][]float32, error) {
	readers := make([]io.Reader, len(images))
	for index, pixels := range images {
		readers[index] = bytes.NewReader(pixels)
	}
	side := int64(g.imageSize)
	shape := []int64{int64(len(images)), side, side, 3}
	tensor, err := tf.ReadTensor(tf.Uint8, shape, io.MultiReader(readers...))
	if err != nil {
		return nil, fmt.Errorf("making a tensor of %d images: %w", len(images), err)
	}
	raw, err := g.run(g.predict, tensor)
	if err != nil {
		return nil, fmt.Errorf("running the network: %w", err)
	}
	if expected := len(images) * g.classes * 4; len(raw) != expected {
		return nil, fmt.Errorf("the graph answered %d bytes: expected %d", len(raw), expected)
	}
	rows := make([][]float32, len(images))
	for index := range rows {
		rows[index] = make([]float32, g.classes)
		for class := range rows[index] {
			rows[index][class] = math.Float32frombits(binary.NativeEndian.Uint32(raw))
			raw = raw[4:]
		}
	}
	return rows, nil
}

// run feeds one tensor and returns the bytes of the one that comes out.
func (g *graph) run(called signature, tensor *tf.Tensor) ([]byte, error) {
	feeds := map[tf.Output]*tf.Tensor{called.input: tensor}
	fetched, err := g.session.Run(feeds, []tf.Output{called.output}, nil)
	if err != nil {
		return nil, err
	}
	var raw bytes.Buffer
	_, err = fetched[0].WriteContentsTo(&raw)
	runtime.KeepAlive(fetched) // its finalizer frees the memory that is being copied
	return raw.Bytes(), err
}

// Close waits for the runs that are going on and frees the session.
func (g *graph) Close() error { return g.session.Close() }
