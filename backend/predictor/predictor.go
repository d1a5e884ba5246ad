// Package predictor answers for images from the model folder that cnnlab exports, exactly as the
// notebook does: the same pixels, the same probabilities, the same rules.
//
//	model, err := predictor.Open("reports/lab/model", predictor.Options{})
//	prediction, err := model.Predict(ctx, imageBytes)
//
// TensorFlow prints notes while it is loaded, before any Go code runs. The environment variable
// TF_CPP_MIN_LOG_LEVEL=3, set before the process starts, keeps it quiet.
package predictor

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"cnnlab/backend/artifact"
	"cnnlab/backend/validation"
)

// DefaultTop is how many classes an answer lists where nobody asks for another number.
const DefaultTop = 5

// Options say how a predictor works. Their zero value is a good start.
type Options struct {
	// Cache is where answers are kept; predictors may share one. Nil keeps none.
	Cache *Cache
	// Workers is how many images are decoded at a time; 0 is one a processor. Half as many runs of
	// the network go on at a time, as each has several threads.
	Workers int
	// Batch is how many of the images that wait a run of the network takes; 0 is 8, 1 turns
	// batching off.
	Batch int
	// Queue is how many more may wait; then Predict returns ErrBusy. 0 is 64.
	Queue int
	// TrustedKey is whose models are opened; nil opens those of anybody.
	TrustedKey ed25519.PublicKey
	// IntraOpThreads and InterOpThreads bound TensorFlow's threads, within an operation and between
	// operations; 0 leaves it to TensorFlow. The first predictor of a process decides the first.
	IntraOpThreads, InterOpThreads int
	// OnRun, if set, is called after each run of the network with the number of its images.
	OnRun func(images int)
}

// Result is the answer to one of several images: a prediction, or the error that says why not.
type Result struct {
	Prediction Prediction
	Err        error
}

// engine is what runs the model: a graph, or a stand-in of the tests.
type engine interface {
	Prepare(image []byte) ([]byte, error)
	Predict(images [][]byte) ([][]float32, error)
	Close() error
}

// Predictor answers for images. Any number of goroutines may share one.
type Predictor struct {
	model   *artifact.Artifact
	engine  engine
	options Options
	queue   *queue
	batcher *batcher
	flights *flights
}

// Open checks the hashes of a model folder, loads its SavedModel and makes one prediction, so that
// the first request is as fast as the next.
//
// A folder that makes this code panic gives an error; one whose graph aborts TensorFlow ends the
// process. Whoever serves while loading tries the folder in another process first, as
// cnnlab-server does.
func Open(folder string, options Options) (opened *Predictor, err error) {
	defer recovered("loading the model", &err)
	model, err := artifact.Load(folder, options.TrustedKey)
	if err != nil {
		return nil, err
	}
	contract := &model.Contract
	graph, err := openGraph(model.SavedModel(), contract.ImageSize,
		len(contract.ClassNames), options.IntraOpThreads, options.InterOpThreads)
	if err != nil {
		return nil, err
	}
	predictor := newPredictor(model, graph, options)
	if err := predictor.checkGolden(); err != nil {
		return nil, errors.Join(err, graph.Close())
	}
	return predictor, nil
}

// recovered turns a panic into an error: runs of the model have goroutines of their own, where one
// would end the process with all its requests.
func recovered(doing string, err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic while %s: %v\n%s", doing, cause, debug.Stack())
	}
}

func newPredictor(model *artifact.Artifact, engine engine, options Options) *Predictor {
	if options.Workers <= 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	if options.Queue <= 0 {
		options.Queue = 64
	}
	if options.Batch <= 0 {
		options.Batch = 8
	}
	queue := newQueue(options.Workers, options.Queue)
	p := &Predictor{
		model: model, engine: engine, options: options, queue: queue, flights: newFlights(),
	}
	p.batcher = &batcher{predict: p.classify, most: options.Batch, runs: (options.Workers + 1) / 2}
	return p
}

// Artifact returns the model folder that was opened.
func (p *Predictor) Artifact() *artifact.Artifact { return p.model }

// Waiting returns how many images wait for the model or are in it.
func (p *Predictor) Waiting() int { return int(p.queue.inside.Load()) }

// Predict returns the answer for the content of an image file.
//
// An image that is refused gives a *validation.Rejected, a full queue ErrBusy, a context that ends
// its error. Callers with the same image share one run of the network.
func (p *Predictor) Predict(ctx context.Context, image []byte) (Prediction, error) {
	return p.PredictTop(ctx, image, DefaultTop)
}

// PredictTop is Predict with another number of classes to list, at least 1; at most all of them are.
func (p *Predictor) PredictTop(
	ctx context.Context, image []byte, top int,
) (Prediction, error) {
	start := time.Now()
	digest := sha256.Sum256(image)
	sum := hex.EncodeToString(digest[:])
	row, cached, err := p.probabilities(ctx, p.key(sum), image)
	if err != nil {
		return Prediction{}, err
	}
	prediction := answer(&p.model.Contract, row, top)
	prediction.SHA256, prediction.Cached = sum, cached
	prediction.ElapsedMS = milliseconds(start)
	return prediction, nil
}

// PredictMany answers for several images, in order, listing so many classes for each; see PredictTop.
// A refused image spoils only its own result; any other error is returned for all of them.
func (p *Predictor) PredictMany(
	ctx context.Context, images [][]byte, top int,
) ([]Result, error) {
	results := make([]Result, len(images))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(p.options.Workers) // one request never fills the queue
	for index, image := range images {
		group.Go(func() (err error) {
			defer recovered("answering", &err)
			prediction, err := p.PredictTop(ctx, image, top)
			results[index] = Result{prediction, err}
			if rejected := (*validation.Rejected)(nil); errors.As(err, &rejected) {
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// Close waits for the runs that are going on and frees the model; nothing may be asked afterwards.
func (p *Predictor) Close() error {
	p.flights.running.Wait()
	return p.engine.Close()
}

// key names an answer: another image, another model or another decoder is another name, so an
// answer cannot be stale.
func (p *Predictor) key(sum string) string {
	contract := &p.model.Contract
	return fmt.Sprintf("%s-%s-%d", sum, contract.ModelID, contract.Preprocessing.Version)
}

func (p *Predictor) probabilities(
	ctx context.Context, key string, image []byte,
) (row []float32, cached bool, err error) {
	if p.options.Cache != nil {
		if row, cached = p.options.Cache.get(key); cached {
			return row, true, nil
		}
	}
	if _, err := validation.Inspect(image); err != nil {
		return nil, false, err
	}
	row, err = p.flights.do(ctx, key, func(ctx context.Context) ([]float32, error) {
		return p.run(ctx, key, image)
	})
	return row, false, err
}

// run decodes an image when its turn comes, and classifies it.
func (p *Predictor) run(ctx context.Context, key string, image []byte) (row []float32, err error) {
	defer recovered("answering", &err)
	if err := p.queue.enter(); err != nil {
		return nil, err
	}
	defer p.queue.leave()
	if p.options.Cache != nil { // it may have been answered since this caller looked
		if row, found := p.options.Cache.peek(key); found {
			return row, nil
		}
	}
	pixels, err := p.queue.decode(ctx, func() ([]byte, error) { return p.engine.Prepare(image) })
	if err != nil {
		return nil, err
	}
	row, err = p.batcher.do(pixels)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(row, isNoNumber) {
		return nil, errors.New("the network gives no numbers for an image: weights not finite or too large")
	}
	if p.options.Cache != nil {
		p.options.Cache.put(key, row)
	}
	return row, nil
}

// isNoNumber tells what would be no answer, and no JSON.
func isNoNumber(probability float32) bool {
	return math.IsNaN(float64(probability)) || math.IsInf(float64(probability), 0)
}

// classify runs the network on prepared images.
func (p *Predictor) classify(images [][]byte) (rows [][]float32, err error) {
	defer recovered("running the network", &err)
	rows, err = p.engine.Predict(images)
	if err == nil && len(rows) != len(images) {
		return nil, fmt.Errorf("the network gives %d rows for %d images", len(rows), len(images))
	}
	if err == nil && p.options.OnRun != nil {
		p.options.OnRun(len(images))
	}
	return rows, err
}
