package server

import (
	"context"
	"sync"

	"cnnlab/backend/artifact"
	"cnnlab/backend/predictor"
)

// Model answers for images; *predictor.Predictor is one.
type Model interface {
	PredictTop(ctx context.Context, image []byte, top int) (predictor.Prediction, error)
	PredictMany(ctx context.Context, images [][]byte, top int) ([]predictor.Result, error)
	Artifact() *artifact.Artifact
	Waiting() int
	Close() error
}

var _ Model = (*predictor.Predictor)(nil)

// holder lends the model that answers now. One that was replaced is closed when its last request is
// done, so a swap loses none.
type holder struct {
	mutex   sync.Mutex
	current *lent
	closing sync.WaitGroup
	failed  func(error)
}

type lent struct {
	Model
	users   int
	retired bool
}

// borrow returns the model that answers now, nil if there is none; it must be given back.
func (h *holder) borrow() *lent {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.current != nil {
		h.current.users++
	}
	return h.current
}

func (h *holder) giveBack(model *lent) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	model.users--
	h.closeIfDone(model)
}

// swap lets another model answer from now on; nil lets none.
func (h *holder) swap(next Model) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	old := h.current
	h.current = nil
	if next != nil {
		h.current = &lent{Model: next}
	}
	if old != nil {
		old.retired = true
		h.closeIfDone(old)
	}
}

func (h *holder) closeIfDone(model *lent) {
	if !model.retired || model.users > 0 {
		return
	}
	h.closing.Go(func() { // it waits for runs that nobody waits for any more
		if err := model.Close(); err != nil {
			h.failed(err)
		}
	})
}
