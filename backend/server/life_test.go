package server

import (
	"context"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestHealthAndReadiness(t *testing.T) {
	s := New(Config{}, nil)
	get := func(path string) *httptest.ResponseRecorder {
		return ask(s, httptest.NewRequest("GET", path, nil))
	}
	expect(t, get("/healthz"), 200, "")
	expect(t, get("/readyz"), 503, "not_ready")
	expect(t, get("/v1/model"), 503, "not_ready")
	expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 503, "not_ready")
	expect(t, ask(s, formPost(t, "/v1/predict:batch", part{"image", "", "1"})), 503, "not_ready")
	model := &fakeModel{id: hash("a")}
	s.Swap(model)
	expect(t, get("/readyz"), 200, "")
	expect(t, get("/v1/model"), 200, "")
	s.Drain()
	expect(t, get("/healthz"), 200, "")
	expect(t, get("/readyz"), 503, "shutting_down")
	answer := ask(s, post("/v1/predict", "", strings.NewReader("1")))
	expect(t, answer, 200, "")
	if answer.Header().Get("Connection") != "close" {
		t.Error("a server that leaves keeps the connection")
	}
	s.Close()
	if !model.isClosed() {
		t.Error("the model is still open")
	}
}

func TestSwapLosesNoRequest(t *testing.T) {
	old := &fakeModel{id: hash("a"), hold: make(chan struct{})}
	s := New(Config{}, old)
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- ask(s, post("/v1/predict", "", strings.NewReader("1"))) }()
	waitFor(t, func() bool { old.mutex.Lock(); defer old.mutex.Unlock(); return old.asked == 1 })
	s.Swap(&fakeModel{id: hash("b")})
	if answer := ask(s, post("/v1/predict", "", strings.NewReader("1"))); !strings.Contains(
		answer.Body.String(), hash("b")) {
		t.Errorf("the new model did not answer: %s", answer.Body)
	}
	if old.isClosed() {
		t.Error("the old model was closed under a request")
	}
	close(old.hold)
	if answer := <-answered; answer.Code != 200 || !strings.Contains(answer.Body.String(), hash("a")) {
		t.Errorf("the old request was lost: %d %s", answer.Code, answer.Body)
	}
	waitFor(t, old.isClosed)
}

// Many swaps under many requests: every request is answered, every model closed once.
func TestSwapsUnderLoad(t *testing.T) {
	s := New(Config{}, &fakeModel{id: hash("a")})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 200, "")
			}
		})
	}
	var models []*fakeModel
	for range 50 {
		model := &fakeModel{id: hash("b")}
		models = append(models, model)
		s.Swap(model)
	}
	group.Wait()
	s.Close()
	for _, model := range models {
		if !model.isClosed() {
			t.Fatal("a model is still open")
		}
	}
}

func TestDeadline(t *testing.T) {
	s := New(Config{Timeout: time.Millisecond}, &fakeModel{id: hash("a"), hold: make(chan struct{})})
	expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 504, "deadline_exceeded")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	gone := ask(s, post("/v1/predict", "", strings.NewReader("1")).WithContext(ctx))
	expect(t, gone, statusClientGone, "client_gone")
}

func TestBoundedRequests(t *testing.T) {
	model := &fakeModel{id: hash("a"), hold: make(chan struct{})}
	s := New(Config{MaxRequests: 2}, model)
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 200, "") })
	}
	waitFor(t, func() bool { return s.inFlight.Load() == 2 })
	expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 503, "overloaded")
	expect(t, ask(s, httptest.NewRequest("GET", "/healthz", nil)), 200, "")
	close(model.hold)
	group.Wait()
	expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 200, "")
}

// What slow bodies hold is what they sent, not what they announce.
func TestBoundedBodies(t *testing.T) {
	s := New(Config{MaxBodyBytes: 2 * trusted}, &fakeModel{id: hash("a")})
	reader, writer := io.Pipe()
	slow := post("/v1/predict", "", reader)
	slow.ContentLength = 5 << 20
	answered := make(chan *httptest.ResponseRecorder)
	go func() { answered <- ask(s, slow) }()
	if _, err := io.WriteString(writer, "1"); err != nil {
		t.Fatal(err)
	}
	expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 200, "")
	large := strings.Repeat("x", 2*trusted)
	expect(t, ask(s, post("/v1/predict", "", strings.NewReader(large))), 503, "overloaded")
	writer.Close()
	<-answered
	if !s.bodies.TryAcquire(2 * trusted) {
		t.Error("what bodies held was not given back")
	}
}
