package server

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
)

const (
	// gunzipping takes a window of 32 KiB, tables, a buffer, and what a header may hold beside its
	// names: up to 64 KiB.
	gzipMemory = 160 << 10
	gzipSlack  = 1 << 10 // bytes by which gzip makes a short body longer; a long one by a thousandth
)

// decode lets a body be read as what it stands for, where it came compressed; limit bounds both. It
// returns the size that was announced, -1 where that is unknown.
//
// A body is one gzip member and nothing else: where several follow each other, or anything else
// does, programs differ in how much of it they read.
func (l *loan) decode(w http.ResponseWriter, r *http.Request, limit int64) (int64, error) {
	coding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ", ")))
	switch coding {
	case "", "identity":
		return r.ContentLength, limitBody(w, r, limit)
	case "gzip", "x-gzip":
	default:
		w.Header().Set("Accept-Encoding", "gzip, identity")
		return 0, newProblem(http.StatusUnsupportedMediaType, "unsupported_content_encoding",
			"Bodies with Content-Encoding '%s' are not read: expected gzip, or none.", escaped(coding))
	}
	if err := limitBody(w, r, limit+limit>>10+gzipSlack); err != nil {
		return 0, tooLarge(limit)
	}
	if err := l.take(gzipMemory); err != nil {
		return 0, err
	}
	r.Body = &gunzipped{packed: bufio.NewReader(r.Body), limit: limit}
	return -1, nil
}

// gunzipped reads what a body of one gzip member stands for, up to a limit.
type gunzipped struct {
	packed *bufio.Reader
	member *gzip.Reader
	limit  int64
	length int64 // bytes read so far
}

// Read fails with a problem where the gzip is at fault. The end comes once the checksum is right and
// nothing follows.
func (g *gunzipped) Read(buffer []byte) (count int, err error) {
	if g.member == nil {
		err = g.open()
	}
	if err == nil {
		count, err = g.member.Read(buffer)
		if g.length += int64(count); g.length > g.limit {
			return count, tooLarge(g.limit)
		}
	}
	if errors.Is(err, io.EOF) {
		return count, g.end()
	}
	return count, g.fault(err)
}

// Close does nothing: net/http closes what it made.
func (*gunzipped) Close() error { return nil }

func (g *gunzipped) open() (err error) {
	if _, err := g.packed.Peek(1); errors.Is(err, io.EOF) {
		return malformed("The body is empty, though its Content-Encoding is gzip.")
	}
	if g.member, err = gzip.NewReader(g.packed); err == nil {
		g.member.Multistream(false)
	}
	return err
}

// end tells whether the body ends with its member.
func (g *gunzipped) end() error {
	switch following, err := g.packed.Peek(2); {
	case len(following) == 0 && errors.Is(err, io.EOF):
		return io.EOF
	case len(following) == 0:
		return g.fault(err)
	case string(following) == "\x1f\x8b":
		return malformed("The gzip body has several members: expected one.")
	}
	return malformed("The gzip body goes on behind its end: expected one member and nothing else.")
}

// fault says what is wrong with the gzip; an error of the connection stays what it is.
func (g *gunzipped) fault(err error) error {
	var (
		corrupt flate.CorruptInputError
		large   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &large):
		return tooLarge(g.limit)
	case errors.Is(err, gzip.ErrHeader):
		return malformed("The body is no gzip, though its Content-Encoding is: " +
			"send it compressed, or without that header.")
	case errors.Is(err, gzip.ErrChecksum), errors.As(err, &corrupt):
		return malformed("The gzip body is damaged.")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return malformed("The gzip body ends early.")
	}
	return err
}
