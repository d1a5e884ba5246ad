package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"cnnlab/backend/predictor"
)

func TestMetrics(t *testing.T) {
	cache, err := predictor.NewCache(1000)
	if err != nil {
		t.Fatal(err)
	}
	metrics := NewMetrics(cache)
	s := New(Config{Metrics: metrics}, &fakeModel{id: hash("a")})
	ask(s, post("/v1/predict", "", strings.NewReader("1")))
	ask(s, post("/v1/predict", "", strings.NewReader("refuse corrupt")))
	ask(s, httptest.NewRequest("GET", "/a/path/of/the/client", nil))
	metrics.ObserveRun(3)
	metrics.ObserveReload(nil)
	metrics.ObserveReload(errors.New("damaged"))
	text := ask(s, httptest.NewRequest("GET", "/metrics", nil)).Body.String()
	for _, line := range []string{
		`cnnlab_requests_total{code="200",route="/v1/predict"} 1`,
		`cnnlab_requests_total{code="422",route="/v1/predict"} 1`,
		`cnnlab_requests_total{code="404",route="other"} 1`,
		`cnnlab_request_seconds_count{route="/v1/predict"} 2`,
		`cnnlab_requests_in_flight 1`,
		`cnnlab_queue_depth 3`,
		`cnnlab_model_runs_total 1`,
		`cnnlab_model_run_images_sum 3`,
		`cnnlab_reloads_total{result="ok"} 1`,
		`cnnlab_reloads_total{result="refused"} 1`,
		`cnnlab_cache_hits_total 0`, `cnnlab_cache_misses_total 0`,
		`cnnlab_cache_evictions_total 0`, `cnnlab_cache_bytes 0`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%s is missing in\n%s", line, text)
		}
	}
	if strings.Contains(text, "client") {
		t.Error("a client's path became a metric")
	}
}

func TestLog(t *testing.T) {
	var lines bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&lines, nil))
	s := New(Config{Logger: logger}, &fakeModel{id: hash("a")})
	name := "a\u202e<" + strings.Repeat("x", 500)
	ask(s, formPost(t, "/v1/predict", part{"image", name, "the picture"}))
	ask(s, post("/v1/predict", "", strings.NewReader("broken")))
	ask(s, httptest.NewRequest("GET", "/healthz", nil))
	var entries []map[string]any
	for line := range strings.Lines(lines.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		entries = append(entries, entry)
	}
	if len(entries) != 2 {
		t.Fatalf("%d lines: expected one a request, none for the health:\n%s", len(entries), &lines)
	}
	if entries[0]["status"] != 200.0 || entries[0]["level"] != "INFO" {
		t.Errorf("got %v", entries[0])
	}
	if entries[1]["error"] != "a secret of the machine" || entries[1]["level"] != "ERROR" {
		t.Errorf("got %v: expected the error that the client is not told", entries[1])
	}
	names, _ := entries[0]["names"].([]any)
	if len(names) != 1 {
		t.Fatalf("got the names %v", entries[0]["names"])
	}
	logged, _ := names[0].(string)
	if !strings.HasPrefix(logged, `a\u202e`) || len(logged) > 2*maxName ||
		strings.ContainsFunc(logged, func(char rune) bool { return char < ' ' || char > '~' }) {
		t.Errorf("the name was logged as %q", logged)
	}
	if strings.Contains(lines.String(), "the picture") {
		t.Error("the log holds an image")
	}
}
