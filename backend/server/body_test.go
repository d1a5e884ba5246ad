package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sync/semaphore"

	"cnnlab/backend/artifact"
	"cnnlab/backend/predictor"
)

// An image of common size is read into one piece of memory, which is no larger than announced.
func TestAnAnnouncedBodyTakesWhatItNeeds(t *testing.T) {
	image := strings.Repeat("x", 50_000)
	for announced, fits := range map[int]bool{len(image): true, -1: false} {
		body := loan{from: semaphore.NewWeighted(int64(len(image) + 1))}
		content, err := body.read(strings.NewReader(image), int64(announced))
		if (err == nil && string(content) == image) != fits {
			t.Errorf("%d announced: %d bytes, %v", announced, len(content), err)
		}
	}
}

// What mime/multipart makes of the worst head of a part fits into what is set aside for it.
func TestPartHeads(t *testing.T) {
	var names strings.Builder
	for number := range 5000 {
		fmt.Fprintf(&names, "%x:\r\n", number)
	}
	const start = "--x\r\nContent-Disposition: form-data; name=\"image\"\r\n"
	for name, text := range map[string]string{
		"short lines": start + names.String(),
		"equal lines": start + strings.Repeat("a:\r\n", 5000),
		"one line":    start + "A: " + strings.Repeat("b", 1<<20),
		"long name":   start + strings.Repeat("b", 1<<20),
		"folded":      start + "A: b\r\n" + strings.Repeat(" b\r\n", 5000),
		"preamble":    strings.Repeat("b", 1<<20),
		"lines":       strings.Repeat("b\r\n", 1<<20),
		// The first part is read whole, so four kilobytes of the second's head are read with it.
		"behind a part": start + "\r\n" + strings.Repeat("x", 4000) + "\r\n" + start + names.String(),
	} {
		s := New(Config{MaxBodyBytes: 512 << 10, MaxImages: 9}, &fakeModel{id: hash("a")})
		form := func() *http.Request {
			return post("/v1/predict:batch", "multipart/form-data; boundary=x", strings.NewReader(text))
		}
		request := form()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer := ask(s, request)
		runtime.ReadMemStats(&after)
		expect(t, answer, 400, "malformed_request")
		const answering = 32 << 10 // the recorder, its answer, the first buffer of an image
		if took := after.TotalAlloc - before.TotalAlloc; took > formMemory+answering {
			t.Errorf("%s: %d bytes were allocated: expected at most %d", name, took, formMemory)
		}
		if !s.bodies.TryAcquire(512 << 10) {
			t.Errorf("%s: not all was given back", name)
		}
	}
	boundary := strings.Repeat("x", maxBoundary+1)
	long := post("/v1/predict", "multipart/form-data; boundary="+boundary, strings.NewReader("--"+boundary))
	expect(t, ask(New(Config{}, nil), long), 400, "malformed_request")
}

func TestFormsAreCounted(t *testing.T) {
	s := New(Config{MaxBodyBytes: formMemory}, &fakeModel{id: hash("a")})
	expect(t, ask(s, formPost(t, "/v1/predict", part{"image", "", "1"})), 503, "overloaded")
	s = New(Config{MaxBodyBytes: formMemory + firstBuffer}, &fakeModel{id: hash("a")})
	expect(t, ask(s, formPost(t, "/v1/predict", part{"image", strings.Repeat("n", 2000), "1"})), 200, "")
}

// verbose answers with very many labels.
type verbose struct{ fakeModel }

func (v *verbose) PredictTop(context.Context, []byte, int) (predictor.Prediction, error) {
	labels := strings.Split(strings.Repeat("label ", 30_000), " ")
	return predictor.Prediction{Plausible: labels}, nil
}

// An answer is counted like the images that it is about, and given back when it is written.
func TestAnswersAreCounted(t *testing.T) {
	for room, status := range map[int64]int{1 << 20: 200, 100_000: 503} {
		s := New(Config{MaxBodyBytes: room}, &verbose{})
		answer := ask(s, post("/v1/predict", "", strings.NewReader("1")))
		if answer.Code != status {
			t.Errorf("%d bytes: got %d: expected %d", room, answer.Code, status)
		}
		if !s.bodies.TryAcquire(room) {
			t.Error("what the answer held was not given back")
		}
	}
}

// Nothing is made for whoever asks for the contract: it is written as it lies there.
func TestTheContractIsNotCopied(t *testing.T) {
	model := &large{}
	model.artifact.Public = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	s := New(Config{}, model)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		s.ServeHTTP(&discarding{}, httptest.NewRequest("GET", "/v1/model", nil))
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
		t.Errorf("%d bytes were allocated for ten answers", took)
	}
}

type large struct {
	fakeModel
	artifact artifact.Artifact
}

func (l *large) Artifact() *artifact.Artifact { return &l.artifact }

type discarding struct{ header http.Header }

func (d *discarding) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}

func (*discarding) WriteHeader(int) {}

func (*discarding) Write(text []byte) (int, error) { return len(text), nil }
