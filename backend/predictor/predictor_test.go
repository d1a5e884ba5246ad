package predictor

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cnnlab/backend/artifact"
	"cnnlab/backend/validation"
)

// fakeEngine answers 1 for the class that the image's last byte names; it may be slow or fail.
type fakeEngine struct {
	mutex    sync.Mutex
	prepared int
	batches  []int
	slow     time.Duration // a run of the network
	prepare  error
	predict  error
	closed   bool
}

func (e *fakeEngine) Prepare(image []byte) ([]byte, error) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.prepared++
	return image[len(image)-1:], e.prepare
}

func (e *fakeEngine) Predict(images [][]byte) ([][]float32, error) {
	time.Sleep(e.slow)
	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.batches = append(e.batches, len(images))
	rows := make([][]float32, len(images))
	for index, pixels := range images {
		rows[index] = make([]float32, len(someContract.ClassNames))
		rows[index][pixels[0]] = 1
	}
	return rows, e.predict
}

func (e *fakeEngine) Close() error { e.closed = true; return nil }

// picture returns what passes for a PNG; its last byte is the class it shows.
func picture(number uint32, class byte) []byte {
	chunk := func(kind, content string) []byte {
		text := append([]byte(kind), content...)
		whole := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
		return binary.BigEndian.AppendUint32(append(whole, text...), crc32.ChecksumIEEE(text))
	}
	data := []byte("\x89PNG\r\n\x1a\n")
	data = append(data, chunk("IHDR", "\x00\x00\x00\x09\x00\x00\x00\x09\x08\x02\x00\x00\x00")...)
	data = append(data, chunk("IDAT", "data")...)
	return append(binary.BigEndian.AppendUint32(data, number), class)
}

func fakePredictor(engine engine, options Options) *Predictor {
	contract := someContract
	contract.Preprocessing.Version = 1
	return newPredictor(&artifact.Artifact{Contract: contract}, engine, options)
}

func TestPredictWithCache(t *testing.T) {
	engine, cache := &fakeEngine{}, newCache(t, 1<<20)
	p := fakePredictor(engine, Options{Cache: cache})
	for _, cached := range []bool{false, true, true} {
		prediction, err := p.Predict(t.Context(), picture(0, 3))
		if err != nil || prediction.Label != "d" || prediction.Cached != cached {
			t.Errorf("got %+v, %v: expected d, cached %v", prediction, err, cached)
		}
	}
	if len(engine.batches) != 1 {
		t.Errorf("the network ran %d times: expected once", len(engine.batches))
	}
	later := fakePredictor(engine, Options{Cache: cache})
	later.model.Contract.ModelID = "another"
	if prediction, err := later.Predict(t.Context(), picture(0, 3)); err != nil || prediction.Cached {
		t.Errorf("another model took the answer of the first: %+v, %v", prediction, err)
	}
}

func TestErrorsAreNotKept(t *testing.T) {
	engine := &fakeEngine{prepare: &validation.Rejected{Code: validation.CodeCorrupt}}
	p := fakePredictor(engine, Options{Cache: newCache(t, 1<<20)})
	var rejected *validation.Rejected
	if _, err := p.Predict(t.Context(), picture(0, 3)); !errors.As(err, &rejected) {
		t.Errorf("got %v: expected a refusal", err)
	}
	engine.prepare, engine.predict = nil, errors.New("broken")
	if _, err := p.Predict(t.Context(), picture(0, 3)); err == nil {
		t.Error("a broken network answered")
	}
	engine.predict = nil
	if prediction, err := p.Predict(t.Context(), picture(0, 3)); err != nil || prediction.Cached {
		t.Errorf("got %+v, %v: expected a fresh answer", prediction, err)
	}
}

func TestRefusedBeforeAnythingIsDecoded(t *testing.T) {
	engine := &fakeEngine{}
	p := fakePredictor(engine, Options{})
	for _, image := range [][]byte{nil, []byte("GIF89a"), []byte("<html>"), picture(0, 3)[:30]} {
		var rejected *validation.Rejected
		if _, err := p.Predict(t.Context(), image); !errors.As(err, &rejected) {
			t.Errorf("%q: %v: expected a refusal", image, err)
		}
	}
	if engine.prepared != 0 {
		t.Errorf("%d refused images were decoded", engine.prepared)
	}
}

func TestTheSameImageRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{slow: time.Second}
		p := fakePredictor(engine, Options{Cache: newCache(t, 1<<20), Queue: 1, Workers: 1})
		var group sync.WaitGroup
		for range 500 {
			group.Go(func() {
				if prediction, err := p.Predict(t.Context(), picture(0, 3)); err != nil ||
					prediction.Label != "d" {
					t.Errorf("got %+v, %v", prediction, err)
				}
			})
		}
		group.Wait()
		if engine.prepared != 1 || !slices.Equal(engine.batches, []int{1}) {
			t.Errorf("%d decoded, batches %v: expected one run", engine.prepared, engine.batches)
		}
	})
}

func TestAFirstCallerThatGivesUpFailsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &fakeEngine{slow: time.Second}
		p := fakePredictor(engine, Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := p.Predict(ctx, picture(0, 3)); !errors.Is(err, context.Canceled) {
				t.Errorf("the first: %v: expected that it was cancelled", err)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if prediction, err := p.Predict(t.Context(), picture(0, 3)); err != nil {
				t.Errorf("the second: %+v, %v", prediction, err)
			}
		})
		synctest.Wait()
		cancel()
		group.Wait()
		if len(engine.batches) != 1 {
			t.Errorf("the network ran %d times: expected once", len(engine.batches))
		}
	})
}

// gate is an engine whose decoding waits until it is opened.
type gate struct {
	fakeEngine
	open chan struct{}
}

func (g *gate) Prepare(image []byte) ([]byte, error) {
	<-g.open
	return g.fakeEngine.Prepare(image)
}

func TestWhatNobodyWaitsForIsNotDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &gate{open: make(chan struct{})}
		p := fakePredictor(engine, Options{Workers: 1})
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := p.Predict(t.Context(), picture(0, 3)); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Predict(ctx, picture(1, 3)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v: expected that the time ran out", err)
		}
		synctest.Wait()
		if p.Waiting() != 1 {
			t.Errorf("%d images are inside: expected the one that is decoded", p.Waiting())
		}
		close(engine.open)
		group.Wait()
		if engine.prepared != 1 {
			t.Errorf("%d images were decoded: expected 1", engine.prepared)
		}
	})
}

func TestAFullQueueSaysSoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &gate{open: make(chan struct{})}
		p := fakePredictor(engine, Options{Workers: 1, Queue: 2})
		var group sync.WaitGroup
		for number := range uint32(3) {
			group.Go(func() {
				if _, err := p.Predict(t.Context(), picture(number, 3)); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		if _, err := p.Predict(t.Context(), picture(3, 3)); !errors.Is(err, ErrBusy) {
			t.Errorf("got %v: expected ErrBusy", err)
		}
		if time.Since(start) > 0 {
			t.Error("the refusal took time")
		}
		close(engine.open)
		group.Wait()
		if _, err := p.Predict(t.Context(), picture(3, 3)); err != nil || p.Waiting() != 0 {
			t.Errorf("afterwards: %v, %d inside", err, p.Waiting())
		}
	})
}

// While the network runs on the first image, seven arrive: the next run takes as many as it may.
func TestWaitingImagesShareARun(t *testing.T) {
	for _, test := range []struct {
		batch    int
		expected []int
	}{{0, []int{1, 7}}, {4, []int{1, 4, 3}}, {1, []int{1, 1, 1, 1, 1, 1, 1, 1}}} {
		synctest.Test(t, func(t *testing.T) {
			engine := &fakeEngine{slow: time.Second}
			var seen []int
			p := fakePredictor(engine, Options{
				Workers: 1, Batch: test.batch, OnRun: func(images int) { seen = append(seen, images) },
			})
			var group sync.WaitGroup
			for number := range uint32(8) {
				group.Go(func() {
					class := byte(number % 6)
					prediction, err := p.Predict(t.Context(), picture(number, class))
					if err != nil || prediction.Label != someContract.ClassNames[class] {
						t.Errorf("image %d: %+v, %v", number, prediction, err)
					}
				})
				synctest.Wait()
			}
			group.Wait()
			if !slices.Equal(engine.batches, test.expected) || !slices.Equal(seen, test.expected) {
				t.Errorf("batches of %v, seen %v: expected %v", engine.batches, seen, test.expected)
			}
		})
	}
}

func TestPredictMany(t *testing.T) {
	p := fakePredictor(&fakeEngine{}, Options{Workers: 2})
	images := [][]byte{picture(0, 5), []byte("<html>"), picture(1, 0), nil}
	results, err := p.PredictMany(t.Context(), images, DefaultTop)
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"", validation.CodeUnknownFormat, "", validation.CodeEmpty}
	labels := []string{"f", "", "a", ""}
	for index, result := range results {
		code := ""
		if rejected := (*validation.Rejected)(nil); errors.As(result.Err, &rejected) {
			code = rejected.Code
		}
		if code != codes[index] || result.Prediction.Label != labels[index] {
			t.Errorf("image %d: %+v", index, result)
		}
	}
	broken := fakePredictor(&fakeEngine{predict: errors.New("broken")}, Options{})
	if results, err := broken.PredictMany(t.Context(), images, DefaultTop); err == nil {
		t.Errorf("a broken network answered: %+v", results)
	}
}

func TestCloseWaitsForRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &gate{open: make(chan struct{})}
		p := fakePredictor(engine, Options{})
		go func() { _, _ = p.Predict(t.Context(), picture(0, 3)) }()
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- p.Close() }()
		synctest.Wait()
		if engine.closed {
			t.Error("the model was closed under a run")
		}
		close(engine.open)
		if err := <-closed; err != nil || !engine.closed {
			t.Errorf("closed %v, %v", engine.closed, err)
		}
	})
}

// strange is an engine that loads but does not answer as it should.
type strange struct {
	fakeEngine
	pixels []byte
	rows   [][]float32
}

func (s *strange) Prepare([]byte) ([]byte, error)        { return s.pixels, s.prepare }
func (s *strange) Predict([][]byte) ([][]float32, error) { return s.rows, s.predict }

func TestNoNumbersAreNoAnswer(t *testing.T) {
	for _, odd := range []float64{math.NaN(), math.Inf(1)} {
		cache := newCache(t, 1<<20)
		p := fakePredictor(
			&strange{rows: [][]float32{{0.5, float32(odd), 0, 0, 0}}}, Options{Cache: cache},
		)
		for range 2 { // nor is it kept
			if prediction, err := p.Predict(t.Context(), picture(0, 0)); err == nil {
				t.Errorf("%v: answered %+v", odd, prediction)
			}
		}
	}
}

func TestGoldenCheck(t *testing.T) {
	grey := bytes.Repeat([]byte{128}, 3*4*4)
	half := [][]float32{{0.5, 0.5}}
	nan := float32(0)
	nan /= nan
	for name, test := range map[string]struct {
		engine *strange
		golden bool
	}{
		"sound":         {&strange{pixels: grey, rows: half}, true},
		"other pixels":  {&strange{pixels: bytes.Repeat([]byte{127}, 48), rows: half}, false},
		"fewer pixels":  {&strange{pixels: grey[1:], rows: half}, false},
		"sum":           {&strange{pixels: grey, rows: [][]float32{{0.5, 0.6}}}, false},
		"not a number":  {&strange{pixels: grey, rows: [][]float32{{nan, 0.6}}}, false},
		"no decoder":    {&strange{fakeEngine: fakeEngine{prepare: errors.New("no")}, rows: half}, false},
		"no prediction": {&strange{fakeEngine: fakeEngine{predict: errors.New("no")}, pixels: grey}, false},
	} {
		p := fakePredictor(test.engine, Options{})
		p.model.Contract.ImageSize = 4
		if err := p.checkGolden(); (err == nil) != test.golden {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// panicking is an engine that is broken.
type panicking struct {
	fakeEngine
	decoding bool
}

func (p *panicking) Prepare(image []byte) ([]byte, error) {
	if p.decoding {
		panic("decoding")
	}
	return p.fakeEngine.Prepare(image)
}

func (p *panicking) Predict([][]byte) ([][]float32, error) { panic("running") }

// A panic in a run, which has a goroutine of its own, is an error of that request, not the end of all.
func TestAPanicIsAnError(t *testing.T) {
	for _, decoding := range []bool{true, false} {
		p := fakePredictor(&panicking{decoding: decoding}, Options{Workers: 1, Queue: 1})
		for range 4 { // more than may wait: nothing stays taken
			if _, err := p.Predict(t.Context(), picture(0, 3)); err == nil ||
				!strings.Contains(err.Error(), "panic") {
				t.Errorf("decoding %v: got %v: expected the panic", decoding, err)
			}
		}
		if p.Waiting() != 0 {
			t.Errorf("%d images still wait", p.Waiting())
		}
	}
}
