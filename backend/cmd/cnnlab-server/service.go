package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
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
	listener, err := net.Listen("tcp", s.settings.address)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(listener) }()
	s.log.Info("listening", "addr", listener.Addr().String())
	if err := s.load(); err != nil {
		return errors.Join(err, s.http.Close())
	}
	var reloading sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	reloading.Go(func() { s.reloads(ctx, reload) })
	select {
	case err = <-served: // the door failed
	case <-ctx.Done():
		err = s.leave()
	}
	cancel()
	if err != nil {
		return err // what still runs has had its time
	}
	reloading.Wait()
	s.server.Close()
	s.log.Info("stopped")
	return nil
}

// load opens the model folder and lets that model answer from now on.
func (s *service) load() error {
	start := time.Now()
	model, err := predictor.Open(s.settings.model, s.settings.predictor)
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
			err := s.load()
			s.metrics.ObserveReload(err)
			if err != nil {
				s.log.Error("reload refused, the old model goes on", "error", err.Error())
			}
		}
	}
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
