// Command cnnlab-server answers over HTTP for images, from a model folder that cnnlab exports.
//
// SIGHUP loads the folder again, SIGTERM and SIGINT finish what is going on and end the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"cnnlab/backend/internal/quiet"
)

func main() {
	quiet.Start()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.LookupEnv, os.Stderr, reload)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, saidPrefix+oneLine(err.Error()))
		os.Exit(1)
	}
}

// run serves until the context ends, or checks a model folder.
func run(
	ctx context.Context, args []string, environment func(string) (string, bool), log io.Writer,
	reload <-chan os.Signal,
) error {
	settings, err := parse(args, environment, log)
	if err != nil {
		return err
	}
	if settings.check {
		return within(ctx, settings.reloadTimeout, func() error { return check(settings) })
	}
	collectSeldom(settings, environment)
	service, err := newService(settings, log)
	if err != nil {
		return err
	}
	return service.run(ctx, reload)
}
