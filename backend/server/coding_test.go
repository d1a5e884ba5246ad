package server

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"cnnlab/backend/validation"
)

// packed returns a gzip member; its header may hold extra bytes.
func packed(t *testing.T, content string, extra ...byte) string {
	t.Helper()
	var text bytes.Buffer
	writer := gzip.NewWriter(&text)
	writer.Extra = extra
	if _, err := io.WriteString(writer, content); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// coded is a request with a body as it is, and a Content-Encoding.
func coded(path, kind, coding, body string) *http.Request {
	r := post(path, kind, strings.NewReader(body))
	r.Header.Set("Content-Encoding", coding)
	return r
}

// formBody returns a form's body and its type.
func formBody(t *testing.T, parts ...part) (body, kind string) {
	t.Helper()
	r := formPost(t, "/", parts...)
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), r.Header.Get("Content-Type")
}

func TestGzip(t *testing.T) {
	s := New(Config{MaxImages: 2}, &fakeModel{id: hash("a")})
	form, kind := formBody(t, part{"image", "photo.jpg", "12345"})
	two, twoKind := formBody(t, part{"image", "", "12345"}, part{"image", "", "12"})
	gz := packed(t, "12345")
	damaged := gz[:len(gz)-8] + "\x00\x00\x00\x00" + gz[len(gz)-4:] // the checksum
	for name, test := range map[string]struct {
		request *http.Request
		status  int
		said    string
	}{
		"raw":             {coded("/v1/predict", "image/png", "gzip", gz), 200, `"label":"<5>"`},
		"x-gzip":          {coded("/v1/predict", "", " X-GZIP ", gz), 200, `"label":"<5>"`},
		"identity":        {coded("/v1/predict", "", "identity", "12345"), 200, `"label":"<5>"`},
		"empty coding":    {coded("/v1/predict", "", "", "12345"), 200, `"label":"<5>"`},
		"form":            {coded("/v1/predict", kind, "gzip", packed(t, form)), 200, `"label":"<5>"`},
		"batch":           {coded("/v1/predict:batch", twoKind, "gzip", packed(t, two)), 200, `"label":"<2>"`},
		"extra":           {coded("/v1/predict", "", "gzip", packed(t, "12345", make([]byte, 60_000)...)), 200, `"<5>"`},
		"of nothing":      {coded("/v1/predict", "", "gzip", packed(t, "")), 400, `"empty"`},
		"nothing":         {coded("/v1/predict", "", "gzip", ""), 400, "The body is empty, though"},
		"no gzip":         {coded("/v1/predict", "", "gzip", "\xff\xd8\xff and more"), 400, "The body is no gzip"},
		"no gzip, short":  {coded("/v1/predict", "", "gzip", "\x1f"), 400, "The gzip body ends early."},
		"cut":             {coded("/v1/predict", "", "gzip", gz[:len(gz)-9]), 400, "The gzip body ends early."},
		"cut checksum":    {coded("/v1/predict", "", "gzip", gz[:len(gz)-1]), 400, "The gzip body ends early."},
		"damaged":         {coded("/v1/predict", "", "gzip", damaged), 400, "The gzip body is damaged."},
		"not deflated":    {coded("/v1/predict", "", "gzip", gz[:10]+"\xff\xff\xff\xff\xff"), 400, "damaged"},
		"trailing byte":   {coded("/v1/predict", "", "gzip", gz+"\x00"), 400, "goes on behind its end"},
		"two members":     {coded("/v1/predict", "", "gzip", gz+gz), 400, "has several members"},
		"form, cut":       {coded("/v1/predict", kind, "gzip", packed(t, form)[:90]), 400, "ends early"},
		"form, no end":    {coded("/v1/predict", kind, "gzip", packed(t, form)[:len(packed(t, form))-4]), 400, "ends early"},
		"form and more":   {coded("/v1/predict", kind, "gzip", packed(t, form)+"x"), 400, "goes on behind its end"},
		"deflate":         {coded("/v1/predict", "", "deflate", gz), 415, "'deflate' are not read: expected gzip, or none."},
		"br":              {coded("/v1/predict", "", "br", gz), 415, "'br' are not read"},
		"zstd, of a form": {coded("/v1/predict:batch", kind, "zstd", gz), 415, "'zstd' are not read"},
		"twice":           {coded("/v1/predict", "", "gzip, gzip", packed(t, gz)), 415, "'gzip, gzip' are not read"},
		"odd":             {coded("/v1/predict", "", "\u202e<b>", gz), 415, "are not read"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := ask(s, test.request)
			if said := answer.Body.String(); answer.Code != test.status || !strings.Contains(said, test.said) {
				t.Errorf("got %d %s: expected %d %s", answer.Code, said, test.status, test.said)
			}
			accepted := answer.Header().Get("Accept-Encoding")
			if (accepted == "gzip, identity") != (test.status == http.StatusUnsupportedMediaType) {
				t.Errorf("%d with Accept-Encoding %q", answer.Code, accepted)
			}
			if !s.bodies.TryAcquire(s.config.MaxBodyBytes) {
				t.Fatal("not all was given back")
			}
			s.bodies.Release(s.config.MaxBodyBytes)
		})
	}
}

// A body is bounded as it stands, not as it was sent, and so is what it takes to find that out.
func TestBombs(t *testing.T) {
	const batch = 24 << 20
	s := New(Config{MaxBatchBytes: batch, MaxBodyBytes: 48 << 20}, &fakeModel{id: hash("a")})
	largest := strings.Repeat("x", validation.MaxBytes)
	expect(t, ask(s, coded("/v1/predict", "", "gzip", packed(t, largest))), 200, "")
	noise := make([]byte, validation.MaxBytes) // gzip makes it longer than the limit
	for index, state := 0, uint32(1); index < len(noise); index++ {
		state = state*1664525 + 1013904223
		noise[index] = byte(state >> 24)
	}
	if long := packed(t, string(noise)); len(long) <= validation.MaxBytes {
		t.Fatal("the noise can be packed")
	} else {
		expect(t, ask(s, coded("/v1/predict", "", "gzip", long)), 200, "")
		expect(t, ask(s, coded("/v1/predict", "", "gzip", long+strings.Repeat("x", 1<<20))), 413, "too_many_bytes")
	}
	form, kind := formBody(t, part{"image", "", strings.Repeat("x", 200<<20)})
	for name, r := range map[string]*http.Request{
		"raw":   coded("/v1/predict", "", "gzip", packed(t, strings.Repeat("x", 200<<20))),
		"a bit": coded("/v1/predict", "", "gzip", packed(t, largest+"x")),
		"form":  coded("/v1/predict", kind, "gzip", packed(t, form)),
		"batch": coded("/v1/predict:batch", kind, "gzip", packed(t, form)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer := ask(s, r)
		runtime.ReadMemStats(&after)
		expect(t, answer, 413, "too_many_bytes")
		// One image grows by doubling, so all its buffers together take four times what it has.
		if took := after.TotalAlloc - before.TotalAlloc; took > 4*validation.MaxBytes {
			t.Errorf("%s: %d bytes were allocated", name, took)
		}
	}
	s = New(Config{MaxBodyBytes: gzipMemory}, &fakeModel{id: hash("a")})
	expect(t, ask(s, coded("/v1/predict", "", "gzip", packed(t, "1"))), 503, "overloaded")
}

// What gunzipping takes, the largest header included, fits into what is set aside for it.
func TestGunzippingIsCounted(t *testing.T) {
	s := New(Config{}, &fakeModel{id: hash("a")})
	r := coded("/v1/predict", "", "gzip", packed(t, "12345", make([]byte, 65_535)...))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	answer := ask(s, r)
	runtime.ReadMemStats(&after)
	expect(t, answer, 200, "")
	if took := after.TotalAlloc - before.TotalAlloc; took > gzipMemory+firstBuffer+16<<10 {
		t.Errorf("%d bytes were allocated: expected at most %d", took, gzipMemory)
	}
}

func FuzzGzip(f *testing.F) {
	var text bytes.Buffer
	writer := gzip.NewWriter(&text)
	_, _ = io.WriteString(writer, strings.Repeat("12345", 100))
	_ = writer.Close()
	f.Add(text.Bytes())
	f.Add(append(text.Bytes(), text.Bytes()...))
	s := New(Config{}, &fakeModel{id: hash("a")})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", "/v1/predict", bytes.NewReader(body))
		r.Header.Set("Content-Encoding", "gzip")
		if answer := ask(s, r); answer.Code != 200 && answer.Code != 400 && answer.Code != 413 {
			t.Errorf("got %d %s", answer.Code, answer.Body)
		}
	})
}
