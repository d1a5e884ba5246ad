package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	drainTime  = 250 * time.Millisecond // for a client to read why it was cut off
	drainBytes = 256 << 10
)

// Guard lets at most so many connections of a listener be open at a time; more get 503 at once. On
// each, a request whose end two programs could see in different places gets 400, and nothing
// behind it is read; see framing. net/http would serve some of them, and keep the connection. Both
// are counted and logged as other requests are.
func (s *Server) Guard(listener net.Listener, connections int) net.Listener {
	return &guard{Listener: listener, free: make(chan struct{}, connections), refused: s.refused}
}

type guard struct {
	net.Listener
	free    chan struct{} // holds one for each open connection
	refused func(client net.Addr, status int, code string)
}

// refused counts and logs what was answered before a request was read.
func (s *Server) refused(client net.Addr, status int, code string) {
	s.config.Metrics.requests.WithLabelValues("unread", strconv.Itoa(status)).Inc()
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	s.config.Logger.Log(context.Background(), level, "request not read",
		"status", status, "client", client.String(), "code", code)
}

// Accept returns the next connection for which there is room.
func (g *guard) Accept() (net.Conn, error) {
	for {
		connection, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case g.free <- struct{}{}:
			leave := sync.OnceFunc(func() { <-g.free })
			return &guarded{Conn: connection, leave: leave, refused: g.refused}, nil
		default:
			g.refused(connection.RemoteAddr(), http.StatusServiceUnavailable, "overloaded")
			turnAway(connection)
		}
	}
}

// turnAway answers before anything is read; the few bytes always fit into the socket's buffer.
func turnAway(connection net.Conn) {
	body := `{"error":{"code":"overloaded","message":"Too many connections: try again in a moment."}}` + "\n"
	_ = connection.SetWriteDeadline(time.Now().Add(drainTime))
	_, _ = fmt.Fprintf(connection, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n"+
		"Retry-After: %d\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable),
		retryAfterSeconds, len(body), body)
	_ = connection.Close()
}

// guarded is a connection that watches what it reads.
type guarded struct {
	net.Conn
	leave   func()
	refused func(client net.Addr, status int, code string)
	framing framing
	said    int         // bytes of spoilt that were read
	cut     atomic.Bool // a fault was found
}

// spoilt is what net/http reads instead of a faulty line of a head, whether or not the start of
// that line was read before: no request is valid with it, so the answer is 400 and the end.
const spoilt = "\x00\r\n\r\n"

// Read reads what is sound; after that, spoilt, and then the end.
func (g *guarded) Read(buffer []byte) (int, error) {
	if !g.cut.Load() {
		count, err := g.Conn.Read(buffer)
		sound := g.framing.watch(buffer[:count])
		if sound == count {
			return count, err
		}
		g.cut.Store(true)
		if g.framing.inHead() { // else the handler says that the body ends early
			g.refused(g.RemoteAddr(), http.StatusBadRequest, "unsound_http")
		}
		if sound > 0 {
			return sound, nil
		}
	}
	if !g.framing.inHead() {
		return 0, io.EOF // in the middle of a body
	}
	count := copy(buffer, spoilt[g.said:])
	if g.said += count; count == 0 {
		return 0, io.EOF
	}
	return count, nil
}

// CloseWrite ends what is written; net/http does so before it closes a connection in the middle of
// a body.
func (g *guarded) CloseWrite() error {
	if connection, halves := g.Conn.(interface{ CloseWrite() error }); halves {
		return connection.CloseWrite()
	}
	return nil
}

// Close closes the connection. Closed with bytes unread, it would take the answer away from the
// client, so they are read first, for a moment.
func (g *guarded) Close() error {
	defer g.leave()
	if g.cut.Load() && g.CloseWrite() == nil {
		_ = g.Conn.SetReadDeadline(time.Now().Add(drainTime))
		_, _ = io.CopyN(io.Discard, g.Conn, drainBytes)
	}
	return g.Conn.Close()
}
