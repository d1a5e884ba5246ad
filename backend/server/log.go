package server

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

const (
	maxName  = 100 // characters of what a client calls something
	maxNames = 8   // of one request
)

// recorder remembers what was answered, for the log and the metrics.
type recorder struct {
	http.ResponseWriter
	status  int
	problem *problem
	names   []string
}

// WriteHeader remembers the status and sends it.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write sends bytes; 200 is the status where none was sent.
func (r *recorder) Write(content []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(content)
}

// noteNames remembers what a client calls its files.
func noteNames(w http.ResponseWriter, images ...upload) {
	answer, isRecorder := w.(*recorder)
	for _, image := range images {
		if isRecorder && image.name != "" && len(answer.names) < maxNames {
			answer.names = append(answer.names, escaped(image.name))
		}
	}
}

// log writes one line about a request; no byte of an image is in it.
func (s *Server) log(r *http.Request, answer *recorder, err error, took time.Duration) {
	level := slog.LevelInfo
	if s.routes[r.URL.Path].open {
		level = slog.LevelDebug // whoever watches the health asks every second
	}
	attributes := []slog.Attr{
		slog.String("method", escaped(r.Method)),
		slog.String("path", escaped(r.URL.Path)),
		slog.Int("status", answer.status),
		slog.Float64("ms", float64(took)/float64(time.Millisecond)),
		slog.String("client", r.RemoteAddr),
	}
	if answer.problem != nil {
		attributes = append(attributes, slog.String("code", answer.problem.Code))
		if answer.status >= http.StatusInternalServerError {
			level = slog.LevelWarn
		}
		if answer.status == http.StatusInternalServerError {
			level = slog.LevelError
			attributes = append(attributes, slog.String("error", err.Error()))
		}
	}
	if len(answer.names) > 0 {
		attributes = append(attributes, slog.Any("names", answer.names))
	}
	s.config.Logger.LogAttrs(r.Context(), level, "request", attributes...)
}

// escaped returns what a client wrote, short and in printable ASCII.
func escaped(text string) string {
	if len(text) > maxName {
		text = text[:maxName]
	}
	quoted := strconv.QuoteToASCII(text)
	return quoted[1 : len(quoted)-1]
}
