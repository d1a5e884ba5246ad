package server

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sync/semaphore"
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
