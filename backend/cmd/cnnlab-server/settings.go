package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"cnnlab/backend/predictor"
	"cnnlab/backend/server"
)

const (
	tokenVariable = "CNNLAB_TOKEN"
	maxTokenBytes = 4096
)

// settings are what the command line and the environment say.
type settings struct {
	address     string
	model       string
	cacheBytes  int64
	readTimeout time.Duration
	idleTimeout time.Duration
	drain       time.Duration
	grace       time.Duration
	logLevel    slog.Level
	predictor   predictor.Options
	server      server.Config
}

func parse(args []string, getenv func(string) string, output io.Writer) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("cnnlab-server", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&s.model, "model", "", "the model `folder`, as an export wrote it (required)")
	flags.StringVar(&s.address, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes any")
	tokenFile := flags.String("token-file", "",
		"`file` with the token that requests must bear; or set "+tokenVariable)
	flags.Int64Var(&s.cacheBytes, "cache-bytes", 64<<20, "bound of the answer cache; 0 turns it off")
	flags.IntVar(&s.predictor.Workers, "workers", 0,
		"images decoded at a time; 0 is one a processor")
	flags.IntVar(&s.predictor.Queue, "queue", 64, "images that may wait for the model")
	flags.IntVar(&s.predictor.Batch, "batch", 8,
		"waiting images that one run of the network takes; 1 turns batching off")
	flags.IntVar(&s.predictor.IntraOpThreads, "intra-op-threads", 0,
		"TensorFlow's threads within an operation; 0 leaves it to TensorFlow")
	flags.IntVar(&s.predictor.InterOpThreads, "inter-op-threads", 0,
		"TensorFlow's threads between operations; 0 leaves it to TensorFlow")
	flags.DurationVar(&s.server.Timeout, "timeout", 10*time.Second,
		"bound of the time from a request's last byte to its answer")
	flags.DurationVar(&s.readTimeout, "read-timeout", 30*time.Second, "bound of a request's arrival")
	flags.DurationVar(&s.idleTimeout, "idle-timeout", time.Minute, "how long a connection may idle")
	flags.DurationVar(&s.drain, "drain", 500*time.Millisecond,
		"how long to say 'not ready' before the door is closed")
	flags.DurationVar(&s.grace, "grace", 20*time.Second, "how long to finish what is in flight")
	flags.IntVar(&s.server.MaxRequests, "max-requests", 4096,
		"requests answered at a time, slow ones included")
	flags.IntVar(&s.server.MaxImages, "max-images", 32, "images of a batch")
	flags.Int64Var(&s.server.MaxBatchBytes, "max-batch-bytes", 64<<20, "bytes of a batch")
	flags.Int64Var(&s.server.MaxBodyBytes, "max-body-bytes", 256<<20, "bytes of all bodies together")
	flags.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if err := s.check(flags.Args()); err != nil {
		return nil, err
	}
	token, err := readToken(*tokenFile, getenv)
	s.server.Token = token
	return s, err
}

// check refuses values that would be taken for another one, or make no sense.
func (s *settings) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q: every setting has a flag", rest[0])
	}
	if s.model == "" {
		return errors.New("expected --model with the folder of an exported model")
	}
	positive := map[string]bool{
		"queue": s.predictor.Queue > 0, "batch": s.predictor.Batch > 0, "timeout": s.server.Timeout > 0,
		"read-timeout": s.readTimeout > 0, "idle-timeout": s.idleTimeout > 0,
		"grace": s.grace > 0, "max-requests": s.server.MaxRequests > 0,
		"max-images": s.server.MaxImages > 0, "max-batch-bytes": s.server.MaxBatchBytes > 0,
		"max-body-bytes": s.server.MaxBodyBytes > 0,
	}
	for name, holds := range positive {
		if !holds {
			return fmt.Errorf("--%s is out of range: expected above 0", name)
		}
	}
	if min(s.predictor.Workers, s.predictor.IntraOpThreads, s.predictor.InterOpThreads) < 0 ||
		s.drain < 0 {
		return errors.New("a number is negative: expected 0 or more")
	}
	return nil
}

// readToken returns the token that requests must bear, "" for none. It is never the value of a
// flag, which every user of the machine could read.
func readToken(path string, getenv func(string) string) (string, error) {
	token := getenv(tokenVariable)
	if path != "" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		defer file.Close()
		content, err := io.ReadAll(io.LimitReader(file, maxTokenBytes))
		if err != nil {
			return "", fmt.Errorf("reading the token: %w", err)
		}
		token = string(content)
		if strings.TrimSpace(token) == "" {
			return "", fmt.Errorf("%s holds no token: expected one line of text", path)
		}
	}
	return strings.TrimSpace(token), nil
}
