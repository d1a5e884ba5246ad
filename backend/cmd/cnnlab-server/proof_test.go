package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childVariable makes the process that checks a model end as a graph could make it.
const childVariable = "CNNLAB_TEST_CHILD"

func misbehave(how string) {
	switch how {
	case "":
		return
	case "abort":
		fmt.Fprintln(os.Stderr, "F0000 Check failed: shape.dims() == 4")
		_ = syscall.Kill(os.Getpid(), syscall.SIGABRT)
	case "hang":
		_, _ = os.Stderr.Write([]byte("waiting"))
	case "orphan": // its child keeps standard error open
		_, err := syscall.ForkExec("/bin/sleep", []string{"sleep", "60"},
			&syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		fmt.Fprintln(os.Stderr, saidPrefix+"the child goes on", err)
		os.Exit(1)
	case "flood":
		for range 1000 {
			fmt.Fprint(os.Stderr, strings.Repeat("x", 100_000))
		}
		fmt.Fprint(os.Stderr, "\n"+saidPrefix+"flooded\n")
		os.Exit(1)
	case "silent":
		os.Exit(1)
	case "exit":
		os.Exit(7)
	}
	time.Sleep(time.Minute)
}

func TestProofs(t *testing.T) {
	for how, expected := range map[string]string{
		"abort":  "ended the process that tried it (exit status 2)", // Go ends so after abort(),
		"hang":   "did not prove itself within 500ms",
		"orphan": "the child goes on",
		"flood":  "flooded",
		"silent": "exit status 1",
		"exit":   "exit status 7",
	} {
		t.Run(how, func(t *testing.T) {
			t.Setenv(childVariable, how)
			settings := &settings{reloadTimeout: 30 * time.Second}
			if how == "hang" {
				settings.reloadTimeout = 500 * time.Millisecond
			}
			err := prove(t.Context(), "/srv/model", settings)
			if err == nil || !strings.Contains(err.Error(), expected) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v: expected one line with %s", err, expected)
			}
		})
	}
}

// Whoever ends the server waits for no proof.
func TestAProofIsGivenUp(t *testing.T) {
	t.Setenv(childVariable, "hang")
	ctx, stop := context.WithCancel(t.Context())
	start := time.Now()
	time.AfterFunc(200*time.Millisecond, stop)
	err := prove(ctx, "/srv/model", &settings{reloadTimeout: time.Minute})
	if !errors.Is(err, context.Canceled) || time.Since(start) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// Loading is given up with the signal that ends the program, or where it takes too long, though
// TensorFlow goes on.
func TestLoadingIsGivenUp(t *testing.T) {
	signalled, stop := context.WithCancel(t.Context())
	stop()
	forever := func() error { select {} }
	if err := within(signalled, time.Hour, forever); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v: expected the end of the context", err)
	}
	if err := within(t.Context(), 1, forever); err == nil || !strings.Contains(err.Error(), "within 1ns") {
		t.Errorf("got %v: expected the end of the time", err)
	}
	environment := func(string) (string, bool) { return "", false }
	var output log
	for _, args := range [][]string{{"--check"}, {"--addr", "127.0.0.1:0"}} {
		args = append(args, "--model", models.Path("model"))
		err := run(signalled, args, environment, &output, nil)
		if (err != nil) != (args[0] == "--check") {
			t.Errorf("%v: got %v", args, err)
		}
	}
	output.wait(t, "stopped while the model was being loaded", 1)
}

func TestTheCheckKnowsNoToken(t *testing.T) {
	found := withoutToken([]string{"A=b", tokenVariable + "=secret", "PATH=/bin"})
	if strings.Join(found, " ") != "A=b PATH=/bin" {
		t.Errorf("got %v", found)
	}
}

func TestOneLine(t *testing.T) {
	if found := oneLine("a\nb\r\n\x1b[31m c\u202e\u00a0d"); found != "a b [31m c d" {
		t.Errorf("got %q", found)
	}
}
