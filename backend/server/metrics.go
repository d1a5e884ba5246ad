package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"cnnlab/backend/predictor"
)

// Metrics are the figures that /metrics shows.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	runs     prometheus.Counter
	images   prometheus.Histogram
	reloads  *prometheus.CounterVec
}

// NewMetrics returns figures that start at zero; a nil cache is shown as empty.
func NewMetrics(cache *predictor.Cache) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cnnlab_requests_total", Help: "Requests answered.",
		}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "cnnlab_request_seconds",
			Help:    "Time from a request's headers to the end of its answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
		runs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cnnlab_model_runs_total", Help: "Runs of the network.",
		}),
		images: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "cnnlab_model_run_images", Help: "Images in a run of the network.",
			Buckets: []float64{1, 2, 4, 8, 16, 32},
		}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cnnlab_reloads_total", Help: "Attempts to load another model.",
		}, []string{"result"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.runs, m.images, m.reloads,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if cache != nil {
		m.registerCache(cache)
	}
	return m
}

func (m *Metrics) registerCache(cache *predictor.Cache) {
	counter := func(name, help string, value func(predictor.CacheStats) uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value(cache.Stats())) }))
	}
	counter("cnnlab_cache_hits_total", "Answers found in the cache.",
		func(s predictor.CacheStats) uint64 { return s.Hits })
	counter("cnnlab_cache_misses_total", "Answers not found in the cache.",
		func(s predictor.CacheStats) uint64 { return s.Misses })
	counter("cnnlab_cache_evictions_total", "Answers thrown out to make room.",
		func(s predictor.CacheStats) uint64 { return s.Evictions })
	m.gauge("cnnlab_cache_bytes", "What the cached answers take.",
		func() float64 { return float64(cache.Stats().Bytes) })
}

func (m *Metrics) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// ObserveRun counts one run of the network; it fits predictor.Options.OnRun.
func (m *Metrics) ObserveRun(images int) {
	m.runs.Inc()
	m.images.Observe(float64(images))
}

// ObserveReload counts an attempt to load another model.
func (m *Metrics) ObserveReload(err error) {
	result := "ok"
	if err != nil {
		result = "refused"
	}
	m.reloads.WithLabelValues(result).Inc()
}

func (m *Metrics) observeRequest(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

func (m *Metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
