// Package server answers over HTTP for the images that are sent to it.
//
// No request names a path, an address or a model: all of them are decided where the server starts.
package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// Config says what a server allows. Zero fields get the value named with them.
type Config struct {
	// Token, if set, must come with every request but those for the server's health.
	Token string
	// Timeout bounds the time from a request's last byte to its answer; 10 s.
	Timeout time.Duration
	// MaxRequests are answered at a time, slow ones included; 4096.
	MaxRequests int
	// MaxImages may come in one batch; 32.
	MaxImages int
	// MaxBatchBytes is the largest body of a batch; 64 MiB.
	MaxBatchBytes int64
	// MaxBodyBytes bounds all bodies together; 256 MiB.
	MaxBodyBytes int64
	// Origins are those of web pages whose scripts may read the answers, as browsers write them:
	// https://a.example; "*" are all. None.
	Origins []string
	// OnlyHere refuses what is addressed to a name or address of another machine than this: a web
	// page could let its own name lead here (DNS rebinding) and ask where no token is needed.
	OnlyHere bool
	// Metrics are the figures to show; new ones.
	Metrics *Metrics
	// Logger gets one line a request; none.
	Logger *slog.Logger
}

// Server answers requests with the model that it holds.
type Server struct {
	config   Config
	models   holder
	bodies   *semaphore.Weighted
	inFlight atomic.Int64
	draining atomic.Bool
	token    [sha256.Size]byte
	routes   map[string]route
}

const (
	pathPredict = "/v1/predict"
	pathBatch   = "/v1/predict:batch"
)

type route struct {
	method string
	open   bool // needs no token
	handle func(http.ResponseWriter, *http.Request) error
}

// New returns a server. Without a model (nil) it is not ready until Swap gives it one.
func New(config Config, model Model) *Server {
	config = withDefaults(config)
	s := &Server{
		config: config,
		bodies: semaphore.NewWeighted(config.MaxBodyBytes),
		token:  sha256.Sum256([]byte(config.Token)),
	}
	s.models.failed = func(err error) {
		config.Logger.Error("closing a replaced model", "error", err.Error())
	}
	metrics := config.Metrics.handler()
	s.routes = map[string]route{
		pathPredict: {http.MethodPost, false, s.predict},
		pathBatch:   {http.MethodPost, false, s.predictBatch},
		"/v1/model": {http.MethodGet, false, s.model},
		"/healthz":  {http.MethodGet, true, s.health},
		"/readyz":   {http.MethodGet, true, s.ready},
		"/metrics": {http.MethodGet, false, func(w http.ResponseWriter, r *http.Request) error {
			metrics.ServeHTTP(w, r)
			return nil
		}},
	}
	config.Metrics.gauge("cnnlab_requests_in_flight", "Requests being answered.",
		func() float64 { return float64(s.inFlight.Load()) })
	config.Metrics.gauge("cnnlab_queue_depth", "Images that wait for the model.", s.queueDepth)
	s.models.swap(model)
	return s
}

func withDefaults(config Config) Config {
	if config.Timeout <= 0 {
		config.Timeout = 10 * time.Second
	}
	if config.MaxRequests <= 0 {
		config.MaxRequests = 4096
	}
	if config.MaxImages <= 0 {
		config.MaxImages = 32
	}
	if config.MaxBatchBytes <= 0 {
		config.MaxBatchBytes = 64 << 20
	}
	if config.MaxBodyBytes <= 0 {
		config.MaxBodyBytes = 256 << 20
	}
	if config.Metrics == nil {
		config.Metrics = NewMetrics(nil)
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	return config
}

// Swap lets another model answer from now on. The old one is closed when its last request is done.
func (s *Server) Swap(model Model) { s.models.swap(model) }

// Drain makes the server say that it is not ready and end each connection with its next answer, so
// that clients and load balancers turn elsewhere. It goes on answering.
func (s *Server) Drain() { s.draining.Store(true) }

// Close closes the model when its last request is done, and waits for that.
func (s *Server) Close() {
	s.models.swap(nil)
	s.models.closing.Wait()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	answer := &recorder{ResponseWriter: w}
	defer s.inFlight.Add(-1)
	full := s.inFlight.Add(1) > int64(s.config.MaxRequests)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if s.draining.Load() {
		header.Set("Connection", "close")
	}
	name, err := s.serve(answer, r, full)
	if err != nil {
		answer.problem = asProblem(err)
		writeProblem(answer, answer.problem)
	}
	took := time.Since(start)
	s.config.Metrics.observeRequest(name, answer.status, took)
	s.log(r, answer, err, took)
}

// serve finds who answers and returns the route's name for the metrics.
func (s *Server) serve(w *recorder, r *http.Request, full bool) (name string, err error) {
	if s.config.OnlyHere && !isHere(r.Host) {
		return "other", misdirected(r.Host)
	}
	found, known := s.routes[r.URL.Path]
	allowOrigin := s.allowOrigin(w.Header(), r)
	if !known {
		return "other", newProblem(http.StatusNotFound, "not_found", "There is nothing here.")
	}
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	name = r.URL.Path
	switch {
	case s.isPreflight(r):
		return name, s.preflight(w, r, found, allowOrigin)
	case r.Method != found.method && !(r.Method == http.MethodHead && found.method == http.MethodGet):
		w.Header().Set("Allow", found.method)
		return name, newProblem(http.StatusMethodNotAllowed, "method_not_allowed",
			"Expected the method %s.", found.method)
	case !found.open && !s.allowed(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		return name, newProblem(http.StatusUnauthorized, "unauthorized",
			"Expected the header Authorization: Bearer with the server's token.")
	case full && !found.open:
		return name, newProblem(http.StatusServiceUnavailable, "overloaded",
			"Too many requests are being answered: try again in a moment.")
	}
	return name, found.handle(w, r)
}

// allowed compares hashes in constant time, so that nothing is learnt from how long it takes.
func (s *Server) allowed(r *http.Request) bool {
	if s.config.Token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], s.token[:]) == 1
}
