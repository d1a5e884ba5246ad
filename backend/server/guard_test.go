package server

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// guarded serves behind a guard, as the program does, and returns the address and what was asked.
func serveGuarded(t *testing.T, connections int, handler *Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		MaxHeaderBytes: 16 << 10,
	}
	ended := make(chan error)
	go func() { ended <- server.Serve(handler.Guard(listener, connections)) }()
	t.Cleanup(func() {
		server.Close()
		<-ended
	})
	return listener.Addr().String()
}

// exchange sends bytes in pieces, says nothing more, and returns all that comes back.
func exchange(t *testing.T, address string, pieces ...string) string {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	for index, piece := range pieces {
		if index > 0 {
			time.Sleep(5 * time.Millisecond)
		}
		if _, err := io.WriteString(connection, piece); err != nil {
			break // it was closed: what it said is there to be read
		}
	}
	_ = connection.SetReadDeadline(time.Now().Add(3 * time.Second))
	answer, _ := io.ReadAll(connection)
	return string(answer)
}

// statuses returns the status of every answer in what came back.
func statuses(said string) string {
	var found []string
	for _, part := range strings.Split(said, "HTTP/1.1 ")[1:] {
		found = append(found, part[:3])
	}
	return strings.Join(found, " ")
}

const (
	postHead = "POST /v1/predict HTTP/1.1\r\nHost: x\r\n"
	last     = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	chunks   = "2\r\nab\r\n3;ext=\"a\"\r\ncde\r\n0\r\n\r\n"
)

// framings are streams of requests and the statuses of their answers; behind each comes a request
// that is answered only where the connection goes on.
var framings = map[string]struct{ stream, statuses string }{
	"length":            {postHead + "Content-Length: 5\r\n\r\nabcde", "200 200"},
	"chunks":            {postHead + "Transfer-Encoding: chunked\r\n\r\n" + chunks, "200 200"},
	"Chunked":           {postHead + "transfer-ENCODING: \t Chunked \r\n\r\n" + chunks, "200 200"},
	"trailer":           {postHead + "Transfer-Encoding: chunked\r\n\r\n" + "1\r\na\r\n0\r\nA: b\r\n\r\n", "200 200"},
	"body of head":      {postHead + "Content-Length: 36\r\n\r\nContent-Length: 1\nTransfer-Encoding:", "200 200"},
	"chunk of head":     {postHead + "Transfer-Encoding: chunked\r\n\r\n14\r\nContent-Length: 1\n X\r\n0\r\n\r\n", "200 200"},
	"pipelined":         {strings.Repeat(postHead+"Content-Length: 2\r\n\r\nab", 3), "200 200 200 200"},
	"no body":           {"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n", "200 200"},
	"long line":         {postHead + "A: " + strings.Repeat("x", 9000) + "\r\nContent-Length: 1\r\n\r\na", "200 200"},
	"long URL":          {"POST /v1/predict?a=" + strings.Repeat("x", 900) + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "200 200"},
	"long URL in 1.0":   {"POST /v1/predict?a=" + strings.Repeat("x", 900) + " HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "400"},
	"100 lines":         {postHead + strings.Repeat("A: b\r\n", maxLines-2) + "Content-Length: 1\r\n\r\na", "200 200"},
	"101 lines":         {postHead + strings.Repeat("A: b\r\n", maxLines-1) + "Content-Length: 1\r\n\r\na", "400"},
	"both":              {postHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "400"},
	"both, turned":      {postHead + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" + chunks, "400"},
	"both, apart":       {postHead + "Content-Length: 5\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "400"},
	"both, without":     {postHead + "Content-Length: 0\r\nTransfer-Encoding: identity\r\n\r\n", "400"},
	"both, in a GET":    {"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
	"after a good one":  {postHead + "Content-Length: 1\r\n\r\na" + postHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "200 400"},
	"after chunks":      {postHead + "Transfer-Encoding: chunked\r\n\r\n" + chunks + postHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "200 400"},
	"length twice":      {postHead + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nabcde", "400"},
	"two lengths":       {postHead + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "400"},
	"list of lengths":   {postHead + "Content-Length: 5, 5\r\n\r\nabcde", "400"},
	"signed":            {postHead + "Content-Length: +5\r\n\r\nabcde", "400"},
	"hexadecimal":       {postHead + "Content-Length: 0x5\r\n\r\nabcde", "400"},
	"negative":          {postHead + "Content-Length: -1\r\n\r\nabcde", "400"},
	"huge":              {postHead + "Content-Length: 99999999999999999999\r\n\r\nabcde", "400"},
	"empty length":      {postHead + "Content-Length:\r\n\r\nabcde", "400"},
	"length and space":  {postHead + "Content-Length : 5\r\n\r\nabcde", "400"},
	"late length":       {postHead + "Content-Length: " + strings.Repeat(" ", 300) + "5\r\n\r\nabcde", "400"},
	"chunked twice":     {postHead + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "400"},
	"chunked in 1.0":    {"POST /v1/predict HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "400"},
	"identity":          {postHead + "Transfer-Encoding: identity\r\n\r\n", "501"},
	"gzip, chunked":     {postHead + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks, "501"},
	"vertical tab":      {postHead + "Transfer-Encoding: \vchunked\r\n\r\n" + chunks, "400"},
	"folded":            {postHead + "A: b\r\n c\r\nContent-Length: 1\r\n\r\na", "400"},
	"folded coding":     {postHead + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n\r\n" + chunks, "400"},
	"folded with a tab": {postHead + "Content-Length: 1\r\n\t2\r\n\r\nabcdefghijkl", "400"},
	"first line folded": {"POST /v1/predict HTTP/1.1\r\n Host: x\r\nContent-Length: 1\r\n\r\na", "400"},
	"bare LF":           {postHead + "Content-Length: 1\n\r\na", "400"},
	"bare LF at first":  {"POST /v1/predict HTTP/1.1\nHost: x\r\nContent-Length: 1\r\n\r\na", "400"},
	"bare LF at last":   {postHead + "Content-Length: 1\r\n\na", "400"},
	"bare CR":           {postHead + "A: b\rTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\na", "400"},
	"NUL":               {postHead + "A: b\x00c\r\nContent-Length: 1\r\n\r\na", "400"},
	"empty line first":  {"\r\n" + postHead + "Content-Length: 1\r\n\r\na", "400"},
	"chunk, bare LF":    {postHead + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", "400"},
	"chunk too long":    {postHead + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", "400"},
	"no chunk size":     {postHead + "Transfer-Encoding: chunked\r\n\r\n;a\r\n\r\n", "400"},
	"signed chunk":      {postHead + "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", "400"},
	"endless chunk":     {postHead + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na\r\n0\r\n\r\n", "400"},
	"no HTTP":           {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	"another protocol":  {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"},
}

func TestRequestsThatTwoProgramsCouldReadDifferently(t *testing.T) {
	address := serveGuarded(t, 100, New(Config{}, &fakeModel{id: hash("a")}))
	for name, test := range framings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := test.stream + last
			middle := len(test.stream) / 2
			for way, pieces := range map[string][]string{
				"whole": {whole}, "in two": {whole[:middle], whole[middle:]},
				"head first": {postHead[:10], whole[10:30], whole[30:]},
			} {
				if way == "head first" && whole[:10] != postHead[:10] {
					continue
				}
				if said := exchange(t, address, pieces...); statuses(said) != test.statuses {
					t.Errorf("%s: got %s: expected %s\n%.300s", way, statuses(said), test.statuses, said)
				}
			}
		})
	}
}

// What is sound does not depend on how the bytes come in.
func TestFramingInPieces(t *testing.T) {
	for name, test := range framings {
		whole := []byte(test.stream + last)
		expected := new(framing).watch(whole)
		for _, size := range []int{1, 2, 3, 7, 50, 255, 256, 257} {
			var f framing
			sound := 0
			for piece := range slices.Chunk(whole, size) {
				count := f.watch(piece)
				if sound += count; count < len(piece) {
					break
				}
			}
			// A faulty line is cut where its last piece begins.
			if (sound < len(whole)) != (expected < len(whole)) || sound < expected {
				t.Errorf("%s in pieces of %d: %d of %d bytes are sound: expected %d",
					name, size, sound, len(whole), expected)
			}
		}
	}
}

// No stream brings it out of step with itself, or makes it keep more than a piece of a line.
func FuzzFraming(f *testing.F) {
	for _, test := range framings {
		f.Add([]byte(test.stream + last))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var whole framing
		if sound := whole.watch(stream); sound < 0 || sound > len(stream) {
			t.Fatalf("%d of %d bytes are sound", sound, len(stream))
		}
		var pieces framing
		for _, char := range stream {
			if pieces.watch([]byte{char}) == 0 {
				break
			}
		}
		if len(pieces.kept) > maxKept {
			t.Fatalf("%d bytes of a line are kept", len(pieces.kept))
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	address := serveGuarded(t, 2, New(Config{}, &fakeModel{id: hash("a")}))
	var open []net.Conn
	for range 2 {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		fmt.Fprint(connection, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := connection.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		open = append(open, connection)
	}
	said := exchange(t, address)
	if statuses(said) != "503" || !strings.Contains(said, "Retry-After: 1\r\n") ||
		!strings.Contains(said, `"code":"overloaded"`) {
		t.Errorf("the third got %q: expected 503", said)
	}
	open[0].Close()
	waitFor(t, func() bool { return statuses(exchange(t, address, last)) == "200" })
}

// What the guard answers is counted and logged, once; in the middle of a body the handler does both.
func TestWhatIsNotReadIsCountedAndLogged(t *testing.T) {
	var lines lockedBuffer
	s := New(Config{Logger: slog.New(slog.NewJSONHandler(&lines, nil))}, &fakeModel{id: hash("a")})
	address := serveGuarded(t, 1, s)
	counted := func(line string) bool {
		text := ask(s, httptest.NewRequest("GET", "/metrics", nil)).Body.String()
		return strings.Contains(text, "\n"+line+"\n")
	}
	exchange(t, address, framings["folded"].stream)
	waitFor(t, func() bool { return counted(`cnnlab_requests_total{code="400",route="unread"} 1`) })
	if said := lines.String(); strings.Count(said, `"code":"unsound_http"`) != 1 ||
		!strings.Contains(said, `"client":"127.0.0.1:`) || !strings.Contains(said, `"status":400`) {
		t.Errorf("the log is %s", said)
	}
	waitFor(t, func() bool { return statuses(exchange(t, address, last)) == "200" })
	exchange(t, address, framings["chunk too long"].stream)
	waitFor(t, func() bool { return counted(`cnnlab_requests_total{code="400",route="/v1/predict"} 1`) })
	waitFor(t, func() bool { return statuses(exchange(t, address, last)) == "200" })
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	waitFor(t, func() bool { return statuses(exchange(t, address, last)) == "503" })
	if said := lines.String(); !strings.Contains(said, `"status":503`) ||
		strings.Count(said, `"code":"unsound_http"`) != 1 {
		t.Errorf("the log is %s", said)
	}
	if !counted(`cnnlab_requests_total{code="400",route="unread"} 1`) {
		t.Error("a body was counted twice")
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (b *lockedBuffer) Write(text []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.Write(text)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.text.String()
}

// The end waits for none of those whose connections were cut.
func TestCutConnectionsDoNotDelayTheEnd(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := New(Config{}, &fakeModel{id: hash("a")})
	server := &http.Server{Handler: handler}
	ended := make(chan error)
	go func() { ended <- server.Serve(handler.Guard(listener, 100)) }()
	for range 20 {
		connection, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		fmt.Fprint(connection, "GET / HTTP/1.1\n")
		if _, err := connection.Read(make([]byte, 12)); err != nil { // it is answered, and waited for
			t.Fatal(err)
		}
	}
	start := time.Now()
	server.Close()
	<-ended
	if took := time.Since(start); took > 5*drainTime {
		t.Errorf("it took %v", took)
	}
}
