package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"cnnlab/backend/validation"
)

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
	large := strings.Repeat("x", validation.MaxBytes+1)
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
		part{"image", "", strings.Repeat("x", validation.MaxBytes+1)}, part{"image", "", "12"}))
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
