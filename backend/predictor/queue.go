package predictor

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrBusy says that as many images wait for the model as may.
var ErrBusy = errors.New("too many images wait for the model")

// queue lets a bounded number of runs go on and a bounded number wait, first come, first served.
type queue struct {
	slots   chan struct{}
	limit   int64
	waiting atomic.Int64
}

func newQueue(running, waiting int) *queue {
	return &queue{slots: make(chan struct{}, running), limit: int64(waiting)}
}

// enter waits for a slot; it returns ErrBusy at once where too many wait already, and the
// context's error when that ends first.
func (q *queue) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case q.slots <- struct{}{}:
		return nil
	default:
	}
	defer q.waiting.Add(-1)
	if q.waiting.Add(1) > q.limit {
		return ErrBusy
	}
	select {
	case q.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (q *queue) leave() { <-q.slots }
