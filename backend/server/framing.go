package server

import (
	"bytes"
	"strconv"
)

const (
	maxLines = 100           // of a head or trailer; clients need a dozen, and short ones cost the most memory
	maxKept  = 256           // bytes of a line that comes in pieces; the lines that matter are shorter
	oldEnd   = " HTTP/1.0\r" // of the first line of a request, whose length may be any
)

// framing finds where the requests of a connection end (RFC 9112, section 6), and the first line
// that another program might read differently:
//
//   - Content-Length with Transfer-Encoding, either of them twice, Transfer-Encoding in HTTP/1.0
//     (section 6.1), a Content-Length that is no number;
//   - a line that ends without a carriage return, or continues the one before (obs-fold, 5.2);
//   - chunks that are not exactly as section 7.1 says;
//   - more than maxLines lines.
//
// What else is wrong, codings other than chunked among it, is left to net/http, which answers and
// closes. The zero value is at the start of a request.
type framing struct {
	state  state
	left   int64  // bytes of a body or chunk still to come
	lines  int    // of this head or trailer
	kept   []byte // the start of a line that comes in pieces
	longer bool   // the line began with more than is kept
	tail   []byte // the end of such a line, as far as it was read

	old     bool // HTTP/1.0
	sized   bool // there is a Content-Length
	length  int64
	coded   bool // there is a Transfer-Encoding
	chunked bool
}

// state is what comes next.
type state int

const (
	requestLine state = iota
	headerLine
	body
	chunkSize
	chunkEnd
	trailerLine
	ignored // net/http ends the connection
)

// inHead tells whether the next line belongs to a head.
func (f *framing) inHead() bool { return f.state == requestLine || f.state == headerLine }

// watch takes what was read and returns how much of it is sound: all, or what is before the first
// faulty line. After a fault it must not be called again.
func (f *framing) watch(content []byte) (sound int) {
	for sound < len(content) && f.state != ignored {
		rest := content[sound:]
		if f.left > 0 {
			count := min(f.left, int64(len(rest)))
			sound, f.left = sound+int(count), f.left-count
			continue
		}
		if f.state == body {
			f.state = requestLine
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			f.keep(rest)
			return len(content)
		}
		line := rest[:end]
		if len(f.tail) > 0 {
			f.keep(line)
			line = f.kept
		}
		returned := f.longer && bytes.HasSuffix(f.tail, []byte{'\r'})
		if !f.longer {
			line, returned = bytes.CutSuffix(line, []byte{'\r'})
		}
		f.longer = f.longer || len(line) >= maxKept // however it came
		if !returned || !f.line(line) {
			return sound
		}
		f.kept, f.longer, f.tail = f.kept[:0], false, f.tail[:0]
		sound += end + 1
	}
	return len(content)
}

func (f *framing) keep(part []byte) {
	if len(part) == 0 {
		return
	}
	room := min(maxKept-len(f.kept), len(part))
	f.kept = append(f.kept, part[:room]...)
	f.longer = f.longer || room < len(part)
	f.tail = append(f.tail, part[max(0, len(part)-len(oldEnd)):]...)
	f.tail = append(f.tail[:0], f.tail[max(0, len(f.tail)-len(oldEnd)):]...)
}

// line goes on to what comes after a whole line; false for a fault.
func (f *framing) line(line []byte) bool {
	switch f.state {
	case requestLine:
		old := bytes.HasSuffix(line, []byte(oldEnd[:9])) || bytes.HasSuffix(f.tail, []byte(oldEnd))
		*f = framing{state: headerLine, kept: f.kept, longer: f.longer, tail: f.tail, old: old}
		return len(line) > 0
	case headerLine:
		if len(line) == 0 {
			f.endHead()
			return true
		}
		return f.counted(line) && f.header(line)
	case chunkSize:
		return !f.longer && f.chunk(line)
	case chunkEnd:
		f.state = chunkSize
		return len(line) == 0
	case trailerLine:
		if len(line) == 0 {
			f.state = requestLine
			return true
		}
		return f.counted(line)
	}
	return false
}

// counted refuses too many lines, and those that continue another.
func (f *framing) counted(line []byte) bool {
	f.lines++
	return f.lines <= maxLines && line[0] != ' ' && line[0] != '\t'
}

func (f *framing) header(line []byte) bool {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch value = bytes.Trim(value, " \t"); {
	case bytes.EqualFold(name, []byte("Content-Length")):
		length, err := strconv.ParseUint(string(value), 10, 63)
		if f.sized || f.coded || f.longer || err != nil {
			return false
		}
		f.sized, f.length = true, int64(length)
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		if f.sized || f.coded || f.longer || f.old {
			return false
		}
		f.coded, f.chunked = true, bytes.EqualFold(value, []byte("chunked"))
	}
	return true
}

func (f *framing) endHead() {
	switch {
	case f.chunked:
		f.state = chunkSize
	case f.coded:
		f.state = ignored
	default:
		f.state, f.left = body, f.length
	}
}

// chunk reads the line before a chunk: its size, and extensions that nobody reads.
func (f *framing) chunk(line []byte) bool {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	size, err := strconv.ParseUint(string(bytes.TrimRight(digits, " \t")), 16, 63)
	if err != nil {
		return false
	}
	if f.state, f.left = chunkEnd, int64(size); size == 0 {
		f.state, f.lines = trailerLine, 0
	}
	return true
}
