package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cnnlab/backend/artifact"
	"cnnlab/backend/predictor"
	"cnnlab/backend/validation"
)

// fakeModel answers with the number of bytes it got; what an image says may make it fail.
type fakeModel struct {
	id      string
	hold    chan struct{} // if set, answers wait until it is closed
	classes int           // more than one
	mutex   sync.Mutex
	asked   int
	closed  bool
}

func hash(letter string) string { return strings.Repeat(letter, 64) }

func (m *fakeModel) PredictTop(
	ctx context.Context, image []byte, top int,
) (predictor.Prediction, error) {
	m.mutex.Lock()
	m.asked++
	closed := m.closed
	m.mutex.Unlock()
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-ctx.Done():
			return predictor.Prediction{}, fmt.Errorf("waiting: %w", ctx.Err())
		}
	}
	switch code, refused := strings.CutPrefix(string(image), "refuse "); {
	case closed:
		return predictor.Prediction{}, errors.New("the model is closed")
	case refused:
		return predictor.Prediction{}, &validation.Rejected{Code: code, Message: "No."}
	case string(image) == "busy":
		return predictor.Prediction{}, fmt.Errorf("asking: %w", predictor.ErrBusy)
	case string(image) == "late":
		return predictor.Prediction{}, context.DeadlineExceeded
	case string(image) == "broken":
		return predictor.Prediction{}, errors.New("a secret of the machine")
	case string(image) == "panic":
		panic("a secret of the machine")
	case len(image) == 0:
		return predictor.Prediction{}, &validation.Rejected{Code: "empty", Message: "Empty."}
	}
	label := fmt.Sprintf("<%d>", len(image))
	candidates := slices.Repeat([]predictor.Candidate{{Label: label, Probability: 1}}, min(top, m.classes+1))
	return predictor.Prediction{
		Label: label, Probability: 1, Top: candidates,
		Plausible: []string{}, SHA256: hash("0"), ModelID: m.id,
	}, nil
}

func (m *fakeModel) PredictMany(
	ctx context.Context, images [][]byte, top int,
) ([]predictor.Result, error) {
	results := make([]predictor.Result, len(images))
	for index, image := range images {
		prediction, err := m.PredictTop(ctx, image, top)
		results[index] = predictor.Result{Prediction: prediction, Err: err}
		if rejected := (*validation.Rejected)(nil); err != nil && !errors.As(err, &rejected) {
			return nil, err
		}
	}
	return results, nil
}

func (m *fakeModel) Artifact() *artifact.Artifact {
	return &artifact.Artifact{
		Contract: artifact.Contract{ModelID: m.id, ClassNames: make([]string, m.classes+1)},
		Public: json.RawMessage(`{"format":3,"class_names":["<b>","a"],"image_size":16,` +
			`"preprocessing":{"version":1,"fit":"stretch","background":"white"},"temperature":1.0,` +
			`"conformal":{"score":"lac","coverage":0.9,"threshold":0.25,"calibrated_on":9},` +
			`"novelty":null,"run_id":"r","parameters":9,"bytes":99,"model_id":"` + m.id + `"}`),
	}
}

func (m *fakeModel) Waiting() int { return 3 }

func (m *fakeModel) Close() error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.closed {
		return errors.New("closed twice")
	}
	m.closed = true
	return nil
}

func (m *fakeModel) isClosed() bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.closed
}

// ask sends a request to a server without a network.
func ask(s http.Handler, r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	s.ServeHTTP(answer, r)
	return answer
}

func post(path, kind string, body io.Reader) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, body)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return r
}

type part struct{ field, name, content string }

func formPost(t *testing.T, path string, parts ...part) *http.Request {
	t.Helper()
	var body bytes.Buffer
	writer := multipart.NewWriter(&body)
	for _, part := range parts {
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition",
			fmt.Sprintf(`form-data; name="%s"; filename="%s"`, part.field, part.name))
		content, err := writer.CreatePart(header)
		if err == nil {
			_, err = io.WriteString(content, part.content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return post(path, writer.FormDataContentType(), &body)
}

// expect compares the status and, of an error, the code.
func expect(t *testing.T, answer *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	if code != "" {
		if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
			t.Errorf("the body is no JSON: %s", answer.Body)
		}
	}
	if answer.Code != status || body.Error.Code != code || (code != "" && body.Error.Message == "") {
		t.Errorf("got %d %s: expected %d %s", answer.Code, answer.Body, status, code)
	}
	if retry := answer.Header().Get("Retry-After"); (retry != "") != (status == 503) {
		t.Errorf("status %d with Retry-After %q", status, retry)
	}
}

func waitFor(t *testing.T, holds func() bool) {
	t.Helper()
	for range 5000 {
		if holds() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it did not come to pass")
}
