package server

import (
	"context"
	"net/http"
)

func (s *Server) predict(w http.ResponseWriter, r *http.Request) error {
	top, err := wantedTop(r)
	if err != nil {
		return err
	}
	body := loan{from: s.bodies}
	defer body.repay()
	image, err := body.single(w, r)
	noteNames(w, image)
	if err != nil {
		return err
	}
	model := s.models.borrow() // only now: a slow client must not keep a replaced model alive
	if model == nil {
		return notReady()
	}
	defer s.models.giveBack(model)
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Timeout)
	defer cancel()
	if err := body.takeListed(model, 1, top); err != nil {
		return err
	}
	prediction, err := model.PredictTop(ctx, image.content, top)
	if err != nil {
		return err
	}
	return body.answer(w, prediction)
}

// predictBatch answers for each image of a form, in order: a prediction or an error.
func (s *Server) predictBatch(w http.ResponseWriter, r *http.Request) error {
	top, err := wantedTop(r)
	if err != nil {
		return err
	}
	body := loan{from: s.bodies}
	defer body.repay()
	images, err := body.several(w, r, s.config.MaxImages, s.config.MaxBatchBytes)
	noteNames(w, images...)
	if err != nil {
		return err
	}
	contents := make([][]byte, len(images))
	for index, image := range images {
		contents[index] = image.content
	}
	model := s.models.borrow()
	if model == nil {
		return notReady()
	}
	defer s.models.giveBack(model)
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Timeout)
	defer cancel()
	if err := body.takeListed(model, len(contents), top); err != nil {
		return err
	}
	results, err := model.PredictMany(ctx, contents, top)
	if err != nil {
		return err
	}
	answers := make([]any, len(results))
	for index, result := range results {
		switch refused := images[index].refused; {
		case refused != nil:
			answers[index] = errorBody{refused}
		case result.Err != nil:
			answers[index] = errorBody{asProblem(result.Err)}
		default:
			answers[index] = result.Prediction
		}
	}
	return body.answer(w, map[string]any{"predictions": answers})
}

// model sends the contract, without the names of files.
func (s *Server) model(w http.ResponseWriter, _ *http.Request) error {
	model := s.models.borrow()
	if model == nil {
		return notReady()
	}
	defer s.models.giveBack(model)
	writeText(w, http.StatusOK, model.Artifact().Public)
	return nil
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// ready says whether requests should be sent here: a model has proved itself, and none is leaving.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	if s.draining.Load() {
		return newProblem(http.StatusServiceUnavailable, "shutting_down", "The server is leaving.")
	}
	model := s.models.borrow()
	if model == nil {
		return notReady()
	}
	defer s.models.giveBack(model)
	writeJSON(w, http.StatusOK, map[string]string{
		"status": "ready", "model_id": model.Artifact().Contract.ModelID,
	})
	return nil
}

func (s *Server) queueDepth() float64 {
	model := s.models.borrow()
	if model == nil {
		return 0
	}
	defer s.models.giveBack(model)
	return float64(model.Waiting())
}
