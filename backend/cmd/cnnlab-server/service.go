package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"cnnlab/backend/predictor"
	"cnnlab/backend/server"
)

const (
	headerTimeout  = 5 * time.Second
	maxHeaderBytes = 16 << 10
)

// service is a server with its door, its model and its end.
type service struct {
	settings *settings
	log      *slog.Logger
	metrics  *server.Metrics
	server   *server.Server
	http     *http.Server
}

func newService(settings *settings, output io.Writer) (*service, error) {
	cache, err := predictor.NewCache(settings.cacheBytes)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewJSONHandler(output, &slog.HandlerOptions{Level: settings.logLevel}))
	metrics := server.NewMetrics(cache)
	settings.predictor.Cache = cache
	settings.predictor.OnRun = metrics.ObserveRun
	settings.server.Metrics = metrics
	settings.server.Logger = log
	// Without a token it listens to this machine alone, unless somebody's word is given; see listen.
	settings.server.OnlyHere = settings.server.Token == "" && !settings.insecure
	answering := server.New(settings.server, nil)
	return &service{settings, log, metrics, answering, &http.Server{
		Handler:           answering,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       settings.readTimeout,
		WriteTimeout:      settings.readTimeout + settings.server.Timeout + headerTimeout,
		IdleTimeout:       settings.idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// run listens, loads the model and answers until the context ends.
func (s *service) run(ctx context.Context, reload <-chan os.Signal) error {
	listener, err := s.listen()
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.server.Guard(listener, s.settings.connections)) }()
	s.log.Info("listening", "addr", listener.Addr().String())
	err = within(ctx, math.MaxInt64, func() error { return s.load(s.settings.model) })
	if errors.Is(err, context.Canceled) {
		s.log.Warn("stopped while the model was being loaded")
		return s.http.Close()
	}
	if err != nil {
		return errors.Join(err, s.http.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		s.reloads(ctx, reload)
	}()
	select {
	case err = <-served: // the door failed
	case <-ctx.Done():
		err = s.leave()
	}
	cancel()
	if err != nil {
		return err // what still runs has had its time
	}
	select {
	case <-reloaded:
	case <-time.After(s.settings.grace): // nobody waits for a new model any more
		s.log.Warn("stopped while a new model was being loaded")
		return nil
	}
	s.server.Close()
	s.log.Info("stopped")
	return nil
}

// listen opens the door: to this machine, to those who bear the token, or on somebody's word.
func (s *service) listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", s.settings.address)
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	address, isTCP := listener.Addr().(*net.TCPAddr)
	if s.settings.server.Token != "" || (isTCP && address.IP.IsLoopback()) {
		return listener, nil
	}
	if !s.settings.insecure {
		return nil, errors.Join(fmt.Errorf("%s is open to other machines, and there is no token: "+
			"set %s, give --token-file, listen on 127.0.0.1, or say --insecure",
			s.settings.address, tokenVariable), listener.Close())
	}
	s.log.Warn("insecure: whoever reaches this address may ask, as there is no token",
		"addr", listener.Addr().String())
	return listener, nil
}

// load opens the model folder and lets that model answer from now on.
func (s *service) load(folder string) error {
	start := time.Now()
	model, err := predictor.Open(folder, s.settings.predictor)
	if err != nil {
		return err
	}
	s.server.Swap(model)
	contract := model.Artifact().Contract
	s.log.Info("ready", "model_id", contract.ModelID, "run_id", contract.RunID,
		"ms", time.Since(start).Milliseconds())
	return nil
}

// reloads loads the folder again at each signal; where that fails, the old model goes on.
func (s *service) reloads(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			err := s.reload(ctx)
			s.metrics.ObserveReload(err)
			if err != nil {
				s.log.Error("reload refused, the old model goes on", "error", oneLine(err.Error()))
			}
		}
	}
}

// reload lets the folder's model answer if that proves itself elsewhere first. Links are followed
// once, so that what was proven is what is loaded.
func (s *service) reload(ctx context.Context) error {
	folder, err := filepath.EvalSymlinks(s.settings.model)
	if err != nil {
		return fmt.Errorf("no model folder: %w", err)
	}
	if err := prove(ctx, folder, s.settings); err != nil {
		return err
	}
	return s.load(folder)
}

// leave says 'not ready', waits until nobody sends more, closes the door and finishes what is in
// flight.
func (s *service) leave() error {
	s.log.Info("stopping")
	s.server.Drain()
	time.Sleep(s.settings.drain)
	ctx, cancel := context.WithTimeout(context.Background(), s.settings.grace)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off: %w", err), s.http.Close())
	}
	return nil
}
