package predictor

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/singleflight"
)

// flights lets callers that ask for the same thing at the same time share one run. A run goes on
// while anybody waits for it: a caller that gives up fails none of the others, and the last one
// that gives up ends it.
type flights struct {
	group   singleflight.Group
	mutex   sync.Mutex
	aboard  map[string]*flight
	running sync.WaitGroup
}

type flight struct {
	ctx       context.Context
	cancel    context.CancelFunc
	customers int
}

func newFlights() *flights { return &flights{aboard: map[string]*flight{}} }

// do returns what run returns, called once for all who ask for the key meanwhile.
func (f *flights) do(
	ctx context.Context, key string, run func(context.Context) ([]float32, error),
) ([]float32, error) {
	for {
		row, err := f.once(ctx, key, run)
		// The run that was joined may have been given up by the others at that very moment.
		if errors.Is(err, context.Canceled) && ctx.Err() == nil {
			continue
		}
		return row, err
	}
}

func (f *flights) once(
	ctx context.Context, key string, run func(context.Context) ([]float32, error),
) ([]float32, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	joined := f.board(key)
	defer f.alight(key, joined)
	results := f.group.DoChan(key, func() (any, error) {
		f.running.Add(1)
		defer f.running.Done()
		return run(joined.ctx)
	})
	select {
	case result := <-results:
		row, _ := result.Val.([]float32)
		return row, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *flights) board(key string) *flight {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	joined := f.aboard[key]
	if joined == nil {
		ctx, cancel := context.WithCancel(context.Background())
		joined = &flight{ctx: ctx, cancel: cancel}
		f.aboard[key] = joined
	}
	joined.customers++
	return joined
}

func (f *flights) alight(key string, left *flight) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if left.customers--; left.customers == 0 {
		left.cancel()
		delete(f.aboard, key)
	}
}
