package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"cnnlab/backend/gatekeeper"
	"cnnlab/backend/predictor"
)

// fakeModel answers with the number of bytes it got; what an image says may make it fail.
type fakeModel struct {
	id     string
	hold   chan struct{} // if set, answers wait until it is closed
	mutex  sync.Mutex
	asked  int
	closed bool
}

func hash(letter string) string { return strings.Repeat(letter, 64) }

func (m *fakeModel) Predict(ctx context.Context, image []byte) (predictor.Prediction, error) {
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
		return predictor.Prediction{}, &gatekeeper.Rejected{Code: code, Message: "No."}
	case string(image) == "busy":
		return predictor.Prediction{}, fmt.Errorf("asking: %w", predictor.ErrBusy)
	case string(image) == "late":
		return predictor.Prediction{}, context.DeadlineExceeded
	case string(image) == "broken":
		return predictor.Prediction{}, errors.New("a secret of the machine")
	case string(image) == "panic":
		panic("a secret of the machine")
	case len(image) == 0:
		return predictor.Prediction{}, &gatekeeper.Rejected{Code: "empty", Message: "Empty."}
	}
	label := fmt.Sprintf("<%d>", len(image))
	return predictor.Prediction{
		Label: label, Probability: 1, Top: []predictor.Candidate{{Label: label, Probability: 1}},
		Plausible: []string{}, SHA256: hash("0"), ModelID: m.id,
	}, nil
}

func (m *fakeModel) PredictMany(
	ctx context.Context, images [][]byte,
) ([]predictor.Result, error) {
	results := make([]predictor.Result, len(images))
	for index, image := range images {
		prediction, err := m.Predict(ctx, image)
		results[index] = predictor.Result{Prediction: prediction, Err: err}
		if rejected := (*gatekeeper.Rejected)(nil); err != nil && !errors.As(err, &rejected) {
			return nil, err
		}
	}
	return results, nil
}

func (m *fakeModel) Artifact() *predictor.Artifact {
	return &predictor.Artifact{
		Contract: predictor.Contract{ModelID: m.id},
		Public: json.RawMessage(`{"class_names":["<b>"],"image_size":8,"preprocessing_version":1,` +
			`"temperature":1.0,"conformal":null,"novelty":null,"run_id":"r","model_id":"` + m.id + `"}`),
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

func TestPredictTakesRawBytesAndForms(t *testing.T) {
	s := New(Config{}, &fakeModel{id: hash("a")})
	for _, r := range []*http.Request{
		post("/v1/predict", "", strings.NewReader("12345")),
		post("/v1/predict", "application/octet-stream", strings.NewReader("12345")),
		post("/v1/predict", "image/jpeg", strings.NewReader("12345")),
		post("/v1/predict", "IMAGE/PNG; x=y", io.MultiReader(strings.NewReader("12345"))),
		formPost(t, "/v1/predict", part{"image", "photo.jpg", "12345"}),
	} {
		answer := ask(s, r)
		expect(t, answer, 200, "")
		const start = `{"label":"<5>","probability":1.0,"top":[{"label":"<5>","probability":1.0}],` +
			`"plausible":[],"none_of_these":null,"cached":false,"elapsed_ms":0.0,`
		if !strings.HasPrefix(answer.Body.String(), start) {
			t.Errorf("got %s: expected %s…", answer.Body, start)
		}
		if kind := answer.Header().Get("Content-Type"); kind != "application/json" {
			t.Errorf("the answer's type is %s", kind)
		}
	}
}

func TestErrorsOfPredict(t *testing.T) {
	s := New(Config{}, &fakeModel{id: hash("a")})
	for image, expected := range map[string]struct {
		status int
		code   string
	}{
		"":                       {400, "empty"},
		"refuse unknown_format":  {415, "unknown_format"},
		"refuse foreign_format":  {415, "foreign_format"},
		"refuse too_many_bytes":  {413, "too_many_bytes"},
		"refuse corrupt":         {422, "corrupt"},
		"refuse side_too_small":  {422, "side_too_small"},
		"refuse too_many_pixels": {422, "too_many_pixels"},
		"busy":                   {503, "overloaded"},
		"late":                   {504, "deadline_exceeded"},
		"broken":                 {500, "internal"},
		"panic":                  {500, "internal"},
	} {
		answer := ask(s, post("/v1/predict", "", strings.NewReader(image)))
		expect(t, answer, expected.status, expected.code)
		if strings.Contains(answer.Body.String(), "secret") {
			t.Errorf("%s: the answer tells what only the log should: %s", image, answer.Body)
		}
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	s := New(Config{MaxImages: 2}, &fakeModel{id: hash("a")})
	image := part{"image", "", "12345"}
	for name, test := range map[string]struct {
		request *http.Request
		status  int
		code    string
	}{
		"nothing there":  {httptest.NewRequest("GET", "/", nil), 404, "not_found"},
		"another path":   {httptest.NewRequest("GET", "/v1/../v1/model", nil), 404, "not_found"},
		"another method": {httptest.NewRequest("GET", "/v1/predict", nil), 405, "method_not_allowed"},
		"written to":     {post("/readyz", "", nil), 405, "method_not_allowed"},
		"URL-encoded": {post("/v1/predict", "application/x-www-form-urlencoded",
			strings.NewReader("image=a")), 415, "unsupported_content_type"},
		"JSON": {post("/v1/predict", "application/json", strings.NewReader("{}")),
			415, "unsupported_content_type"},
		"type that cannot be read": {post("/v1/predict", ";", strings.NewReader("a")),
			415, "unsupported_content_type"},
		"no boundary": {post("/v1/predict", "multipart/form-data", strings.NewReader("a")),
			400, "malformed_request"},
		"no form": {post("/v1/predict", "multipart/form-data; boundary=x", strings.NewReader("a")),
			400, "malformed_request"},
		"empty form":    {formPost(t, "/v1/predict"), 400, "malformed_request"},
		"other field":   {formPost(t, "/v1/predict", part{"path", "", "/etc/passwd"}), 400, "malformed_request"},
		"another field": {formPost(t, "/v1/predict", image, part{"top", "", "5"}), 400, "malformed_request"},
		"two images":    {formPost(t, "/v1/predict", image, image), 413, "too_many_images"},
		"raw batch":     {post("/v1/predict:batch", "", strings.NewReader("12345")), 415, "unsupported_content_type"},
		"empty batch":   {formPost(t, "/v1/predict:batch"), 400, "malformed_request"},
		"large batch":   {formPost(t, "/v1/predict:batch", image, image, image), 413, "too_many_images"},
		"broken batch":  {formPost(t, "/v1/predict:batch", image, part{"image", "", "broken"}), 500, "internal"},
		"busy batch":    {formPost(t, "/v1/predict:batch", image, part{"image", "", "busy"}), 503, "overloaded"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, ask(s, test.request), test.status, test.code) })
	}
	if allow := ask(s, httptest.NewRequest("GET", "/v1/predict", nil)).Header().Get("Allow"); allow != "POST" {
		t.Errorf("Allow is %q", allow)
	}
}

// A reader of unknown length is sent in chunks; a body may also end earlier than it announces.
func TestTooManyBytes(t *testing.T) {
	s := New(Config{MaxBatchBytes: 11 << 20}, &fakeModel{id: hash("a")})
	live := httptest.NewServer(s)
	defer live.Close()
	large := strings.Repeat("x", gatekeeper.MaxBytes+1)
	for name, body := range map[string]io.Reader{
		"announced": strings.NewReader(large),
		"chunked":   io.MultiReader(strings.NewReader(large)),
	} {
		response, err := http.Post(live.URL+"/v1/predict", "image/png", body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 413 || !bytes.Contains(text, []byte("too_many_bytes")) {
			t.Errorf("%s: got %d %s", name, response.StatusCode, text)
		}
	}
	whole := formPost(t, "/v1/predict", part{"image", "", large})
	expect(t, ask(s, whole), 413, "too_many_bytes")
	largest := post("/v1/predict", "", strings.NewReader(large[1:]))
	expect(t, ask(s, largest), 200, "")
	batch := formPost(t, "/v1/predict:batch", part{"image", "", large}, part{"image", "", large})
	expect(t, ask(s, batch), 413, "too_many_bytes")
}

func TestABodyThatEndsEarly(t *testing.T) {
	s := New(Config{}, &fakeModel{id: hash("a")})
	r := post("/v1/predict", "", io.MultiReader(strings.NewReader("123"), failing{io.ErrUnexpectedEOF}))
	expect(t, ask(s, r), 400, "malformed_request")
}

func TestABodyThatDoesNotCome(t *testing.T) {
	live := httptest.NewUnstartedServer(New(Config{}, &fakeModel{id: hash("a")}))
	live.Config.ReadTimeout = 20 * time.Millisecond
	live.Start()
	defer live.Close()
	connection, err := net.Dial("tcp", live.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = io.WriteString(connection,
		"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123")
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(connection) // up to the end that the server makes
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 408 ")) || !bytes.Contains(answer, []byte("slow_body")) {
		t.Errorf("got %s: expected 408 slow_body", answer)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestBatchAnswersForEachImage(t *testing.T) {
	s := New(Config{MaxBatchBytes: 20 << 20}, &fakeModel{id: hash("a")})
	answer := ask(s, formPost(t, "/v1/predict:batch", part{"image", "", "1"},
		part{"image", "", "refuse corrupt"}, part{"image", "", ""},
		part{"image", "", strings.Repeat("x", gatekeeper.MaxBytes+1)}, part{"image", "", "12"}))
	expect(t, answer, 200, "")
	var body struct {
		Predictions []struct {
			Label string
			Error struct{ Code string }
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, one := range body.Predictions {
		got = append(got, one.Label+one.Error.Code)
	}
	if found := strings.Join(got, " "); found != "<1> corrupt empty too_many_bytes <2>" {
		t.Errorf("got %s", found)
	}
}

func TestToken(t *testing.T) {
	s := New(Config{Token: "secret"}, &fakeModel{id: hash("a")})
	for header, status := range map[string]int{
		"": 401, "secret": 401, "Bearer": 401, "Bearer ": 401, "Bearer secre": 401,
		"Bearer secrets": 401, "Basic secret": 401, "Bearer secret": 200, "bearer  secret ": 200,
	} {
		for _, path := range []string{"/v1/model", "/metrics"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Authorization", header)
			answer := ask(s, r)
			if answer.Code != status {
				t.Errorf("%s with %q: got %d: expected %d", path, header, answer.Code, status)
			}
			if status == 401 && answer.Header().Get("WWW-Authenticate") != "Bearer" {
				t.Error("the answer does not say what is missing")
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		expect(t, ask(s, httptest.NewRequest("GET", path, nil)), 200, "")
	}
	expect(t, ask(s, post("/v1/predict", "", strings.NewReader("1"))), 401, "unauthorized")
}

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
