package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"

	"cnnlab/backend/predictor"
	"cnnlab/backend/validation"
)

const (
	retryAfterSeconds = 1   // a full queue is empty again within moments
	statusClientGone  = 499 // nobody reads it: for the log and the metrics only
)

// problem is an answer that says why there is no other one.
type problem struct {
	status  int
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error returns the code and the message.
func (p *problem) Error() string { return p.Code + ": " + p.Message }

func newProblem(status int, code, format string, values ...any) *problem {
	return &problem{status, code, fmt.Sprintf(format, values...)}
}

func malformed(format string, values ...any) *problem {
	return newProblem(http.StatusBadRequest, "malformed_request", format, values...)
}

func notReady() *problem {
	return newProblem(http.StatusServiceUnavailable, "not_ready", "No model is loaded yet.")
}

func tooLarge(limit int64) *problem {
	return newProblem(http.StatusRequestEntityTooLarge, validation.CodeTooManyBytes,
		"Too many bytes: at most %s MB are accepted.", validation.Megabytes(int(limit)))
}

// rejectionStatus returns the status of a refused image; what is not listed is 422.
func rejectionStatus(code string) int {
	switch code {
	case validation.CodeEmpty:
		return http.StatusBadRequest
	case validation.CodeTooManyBytes:
		return http.StatusRequestEntityTooLarge
	case validation.CodeUnknownFormat, validation.CodeForeignFormat:
		return http.StatusUnsupportedMediaType
	}
	return http.StatusUnprocessableEntity
}

// asProblem returns what an error means for the client.
func asProblem(err error) *problem {
	var (
		known    *problem
		rejected *validation.Rejected
		large    *http.MaxBytesError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &rejected):
		return &problem{rejectionStatus(rejected.Code), rejected.Code, rejected.Message}
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case errors.Is(err, predictor.ErrBusy):
		return newProblem(http.StatusServiceUnavailable, "overloaded",
			"Too many images wait for the model: try again in a moment.")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newProblem(http.StatusRequestTimeout, "slow_body", "The body did not arrive in time.")
	case errors.Is(err, context.DeadlineExceeded):
		return newProblem(http.StatusGatewayTimeout, "deadline_exceeded",
			"The model did not answer in time.")
	case errors.Is(err, context.Canceled):
		return newProblem(statusClientGone, "client_gone", "The client gave up.")
	}
	return newProblem(http.StatusInternalServerError, "internal", "The server failed to answer.")
}

// writeJSON sends a small value.
func writeJSON(w http.ResponseWriter, status int, value any) {
	text, err := asJSON(value)
	if err != nil {
		panic(err) // a fault of this program
	}
	writeText(w, status, text)
}

// asJSON returns a line; characters such as < stay what they are.
func asJSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("writing an answer: %w", err)
	}
	return text.Bytes(), nil
}

// writeText sends JSON without copying it: a client that reads slowly holds nothing of its own.
func writeText(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // fails only where the client has gone
}

func writeProblem(w http.ResponseWriter, p *problem) {
	if p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	writeJSON(w, p.status, errorBody{p})
}

type errorBody struct {
	Error *problem `json:"error"`
}
