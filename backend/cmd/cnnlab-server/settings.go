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
	"unicode"

	"cnnlab/backend/artifact"
	"cnnlab/backend/predictor"
	"cnnlab/backend/server"
)

const (
	tokenVariable = "CNNLAB_TOKEN"
	keyVariable   = "CNNLAB_TRUSTED_KEY"
	maxTokenBytes = 4096
)

// settings are what the command line and the environment say.
type settings struct {
	address       string
	model         string
	check         bool // the folder, and end
	insecure      bool // open to the network without a token
	trustedKey    string
	cacheBytes    int64
	connections   int
	readTimeout   time.Duration
	idleTimeout   time.Duration
	drain         time.Duration
	grace         time.Duration
	reloadTimeout time.Duration
	logLevel      slog.Level
	predictor     predictor.Options
	server        server.Config
}

func parse(
	args []string, environment func(string) (string, bool), output io.Writer,
) (_ *settings, err error) {
	s := &settings{}
	flags := flag.NewFlagSet("cnnlab-server", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&s.model, "model", "", "the model `folder`, as an export wrote it (required)")
	flags.BoolVar(&s.check, "check", false,
		"load the model, answer for one image and end; a reload does so first, in a process of its own")
	flags.StringVar(&s.address, "addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes any")
	flags.BoolVar(&s.insecure, "insecure", false,
		"listen beyond this machine without a token, and answer whatever name the server is asked by")
	origins := flags.String("cors-origin", "",
		"`origins` of web pages whose scripts may ask and read answers: https://a.example,…; or *")
	tokenFile := flags.String("token-file", "",
		"`file` with the token that requests must bear; or set "+tokenVariable)
	flags.StringVar(&s.trustedKey, "trusted-key", "",
		"`file` with the public key whose owner must have signed the model; or set "+keyVariable)
	flags.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	limits := limits{flags: flags}
	limits.bytes(&s.cacheBytes, "cache-bytes", 64<<20, 0, "bound of the answer cache; 0 turns it off")
	limits.count(&s.predictor.Workers, "workers", 0, 0, 4096,
		"images decoded at a time; 0 is one a processor")
	limits.count(&s.predictor.Queue, "queue", 64, 1, 1_000_000, "images that may wait for the model")
	limits.count(&s.predictor.Batch, "batch", 8, 1, 1024,
		"waiting images that one run of the network takes; 1 turns batching off")
	limits.count(&s.predictor.IntraOpThreads, "intra-op-threads", 0, 0, 4096,
		"TensorFlow's threads within an operation; 0 leaves it to TensorFlow")
	limits.count(&s.predictor.InterOpThreads, "inter-op-threads", 0, 0, 4096,
		"TensorFlow's threads between operations; 0 leaves it to TensorFlow")
	limits.time(&s.server.Timeout, "timeout", 10*time.Second, 1,
		"bound of the time from a request's last byte to its answer")
	limits.time(&s.readTimeout, "read-timeout", 30*time.Second, 1, "bound of a request's arrival")
	limits.time(&s.idleTimeout, "idle-timeout", time.Minute, 1, "how long a connection may idle")
	limits.time(&s.drain, "drain", 500*time.Millisecond, 0,
		"how long to say 'not ready' before the door is closed")
	limits.time(&s.grace, "grace", 20*time.Second, 1, "how long to finish what is in flight")
	limits.time(&s.reloadTimeout, "reload-timeout", 5*time.Minute, 1,
		"how long a new model may take to prove itself")
	limits.count(&s.connections, "max-connections", 4096, 1, 1_000_000, "connections at a time")
	limits.count(&s.server.MaxRequests, "max-requests", 4096, 1, 1_000_000,
		"requests answered at a time, slow ones included")
	limits.count(&s.server.MaxImages, "max-images", 32, 1, 100_000, "images of a batch")
	limits.bytes(&s.server.MaxBatchBytes, "max-batch-bytes", 64<<20, 1, "bytes of a batch")
	limits.bytes(&s.server.MaxBodyBytes, "max-body-bytes", 256<<20, 1,
		"bytes of all requests' bodies together, as they are held")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: every setting has a flag", flags.Arg(0))
	}
	if s.model == "" {
		return nil, errors.New("expected --model with the folder of an exported model")
	}
	if err := limits.check(); err != nil {
		return nil, err
	}
	if err := s.readKey(environment); err != nil {
		return nil, err
	}
	if s.server.Token, err = readToken(*tokenFile, environment); err != nil {
		return nil, err
	}
	s.server.Origins, err = readOrigins(*origins, s.server.Token != "")
	return s, err
}

// readKey reads the trusted key, if there is to be one. A variable that is there but names no file
// is refused: models of anybody would be loaded.
func (s *settings) readKey(environment func(string) (string, bool)) (err error) {
	if path, set := environment(keyVariable); set && s.trustedKey == "" {
		if s.trustedKey = path; path == "" {
			return fmt.Errorf("%s is blank: expected a file, or no such variable", keyVariable)
		}
	}
	if s.trustedKey != "" {
		s.predictor.TrustedKey, err = artifact.ReadKey(s.trustedKey)
	}
	return err
}

// limits are flags that hold a number, each with the values that it may have: what is out of range
// would be taken for another one, overflow, or make no sense.
type limits struct {
	flags  *flag.FlagSet
	checks []func() error
}

const (
	longest   = 24 * time.Hour
	mostBytes = 1 << 40
)

func (l *limits) count(value *int, name string, preset, least, most int, usage string) {
	l.flags.IntVar(value, name, preset, usage)
	l.checks = append(l.checks, func() error { return inRange(name, *value, least, most) })
}

func (l *limits) bytes(value *int64, name string, preset, least int64, usage string) {
	l.flags.Int64Var(value, name, preset, usage)
	l.checks = append(l.checks, func() error { return inRange(name, *value, least, mostBytes) })
}

func (l *limits) time(value *time.Duration, name string, preset, least time.Duration, usage string) {
	l.flags.DurationVar(value, name, preset, usage)
	l.checks = append(l.checks, func() error { return inRange(name, *value, least, longest) })
}

func (l *limits) check() error {
	for _, check := range l.checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func inRange[T int | int64 | time.Duration](name string, value, least, most T) error {
	if value < least || value > most {
		return fmt.Errorf("--%s is %v: expected %v to %v", name, value, least, most)
	}
	return nil
}

// readToken returns the token that requests must bear, "" where none is asked for. It is never the
// value of a flag, which every user of the machine could read. A file or variable that is there but
// holds no token is refused: it would leave the server open.
func readToken(path string, environment func(string) (string, bool)) (string, error) {
	if path == "" {
		text, set := environment(tokenVariable)
		if !set {
			return "", nil
		}
		return checkToken(text, tokenVariable)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxTokenBytes+1))
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return checkToken(string(content), path)
}

// checkToken returns a token without the white space around it.
func checkToken(text, source string) (string, error) {
	token := strings.TrimSpace(text)
	if token == "" || len(text) > maxTokenBytes || strings.ContainsFunc(token, unicode.IsControl) {
		return "", fmt.Errorf("%s holds no token: expected one line of text of 1 to %d bytes",
			source, maxTokenBytes)
	}
	return token, nil
}
