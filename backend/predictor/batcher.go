package predictor

import "sync"

// batcher runs the network on the images that happen to wait, several at a time. It never waits for
// more to come, so a lone image is as fast as without it.
type batcher struct {
	predict func([][]byte) ([][]float32, error)
	most    int // images a run
	runs    int // at a time
	mutex   sync.Mutex
	pending []*job
	running int
}

type job struct {
	pixels []byte
	row    []float32
	err    error
	done   chan struct{}
}

// do returns the probabilities of one prepared image.
func (b *batcher) do(pixels []byte) ([]float32, error) {
	asked := &job{pixels: pixels, done: make(chan struct{})}
	b.mutex.Lock()
	b.pending = append(b.pending, asked)
	if b.running < b.runs {
		b.running++
		go b.work()
	}
	b.mutex.Unlock()
	<-asked.done
	return asked.row, asked.err
}

// work runs batches until nothing waits.
func (b *batcher) work() {
	for jobs := b.next(); jobs != nil; jobs = b.next() {
		images := make([][]byte, len(jobs))
		for index, asked := range jobs {
			images[index] = asked.pixels
		}
		rows, err := b.predict(images)
		for index, asked := range jobs {
			if asked.err = err; err == nil {
				asked.row = rows[index]
			}
			close(asked.done)
		}
	}
}

// next takes the jobs of one batch; where there are none, this worker is done.
func (b *batcher) next() []*job {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	count := min(b.most, len(b.pending))
	if count == 0 {
		b.running--
		return nil
	}
	jobs := b.pending[:count:count]
	b.pending = b.pending[count:]
	return jobs
}
