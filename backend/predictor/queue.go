package predictor

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrBusy says that as many images wait for the model as may.
var ErrBusy = errors.New("too many images wait for the model")

// queue bounds how many images are inside, waiting ones included, and how many of them are decoded
// at a time: a large image takes hundreds of megabytes for that moment.
type queue struct {
	inside   atomic.Int64
	limit    int64
	decoding chan struct{}
}

func newQueue(decoding, waiting int) *queue {
	return &queue{limit: int64(decoding + waiting), decoding: make(chan struct{}, decoding)}
}

// enter lets an image in, or returns ErrBusy at once; then leave must be called.
func (q *queue) enter() error {
	if q.inside.Add(1) > q.limit {
		q.inside.Add(-1)
		return ErrBusy
	}
	return nil
}

func (q *queue) leave() { q.inside.Add(-1) }

// decode calls a function when its turn comes, first come, first served, unless the context ends
// before.
func (q *queue) decode(ctx context.Context, decode func() ([]byte, error)) ([]byte, error) {
	select {
	case q.decoding <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-q.decoding }()
	if err := ctx.Err(); err != nil { // both were possible, and one was chosen at random
		return nil, err
	}
	return decode()
}
