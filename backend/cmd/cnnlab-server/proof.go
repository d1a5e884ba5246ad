package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cnnlab/backend/predictor"
)

const (
	saidPrefix = "cnnlab-server: " // of the line that says why the program ends
	maxSaid    = 8 << 10           // bytes kept of what it writes
	mostAdj    = "1000"            // of oom_score_adj: the first to go when memory ends
)

// check loads the model, lets it answer once and closes it.
func check(settings *settings) error {
	// What a folder asks for is unknown yet: it shall not be the server that pays. Where the file
	// is not to be written, the machine chooses.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(mostAdj), 0)
	model, err := predictor.Open(settings.model, settings.predictor)
	if err != nil {
		return err
	}
	return model.Close()
}

// within returns what loading gives, or an error where the context or the time ends before: a graph
// may run for ever, and nothing but the end of the program ends it then.
func within(ctx context.Context, limit time.Duration, loading func() error) error {
	loaded := make(chan error, 1)
	go func() { loaded <- loading() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-loaded:
		return err
	case <-timer.C:
		return fmt.Errorf("the model was not loaded within %v", limit)
	case <-ctx.Done():
		return fmt.Errorf("the model was still being loaded: %w", ctx.Err())
	}
}

// prove checks a model folder in a process of its own. A graph may abort the process that runs it,
// take its memory or never end, none of which a recover would catch.
func prove(ctx context.Context, folder string, settings *settings) error {
	own, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the program that checks a model: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, settings.reloadTimeout)
	defer cancel()
	process := exec.CommandContext(ctx, own, "--check", "--model", folder,
		"--trusted-key", settings.trustedKey,
		// It ends by itself even where this process does not live to end it.
		"--reload-timeout", min(settings.reloadTimeout+time.Second, longest).String(),
		"--intra-op-threads", strconv.Itoa(settings.predictor.IntraOpThreads),
		"--inter-op-threads", strconv.Itoa(settings.predictor.InterOpThreads))
	process.WaitDelay = time.Second
	process.Env = withoutToken(os.Environ())
	var said tail
	process.Stderr = &said
	err = process.Run()
	ended := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("the model in %s did not prove itself within %v", folder,
			settings.reloadTimeout)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &ended) && ended.ExitCode() == 1 && said.reason() != "":
		return errors.New(said.reason())
	}
	return fmt.Errorf("the model in %s ended the process that tried it (%w)", folder, err)
}

func withoutToken(environment []string) []string {
	var rest []string
	for _, variable := range environment {
		if !strings.HasPrefix(variable, tokenVariable+"=") {
			rest = append(rest, variable)
		}
	}
	return rest
}

// tail keeps the last of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(text []byte) (int, error) {
	t.kept = append(t.kept, text[max(0, len(text)-maxSaid):]...)
	t.kept = append([]byte(nil), t.kept[max(0, len(t.kept)-maxSaid):]...)
	return len(text), nil
}

// reason returns what the last line says, if that is why the program ended.
func (t *tail) reason() string {
	lines := bytes.Split(bytes.TrimSpace(t.kept), []byte("\n"))
	said, isReason := strings.CutPrefix(string(lines[len(lines)-1]), saidPrefix)
	if !isReason {
		return ""
	}
	return said
}

// oneLine returns a text in which each line end, and whatever a terminal would obey, is a blank.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(char rune) bool {
		return char == ' ' || !unicode.IsPrint(char)
	}), " ")
}
