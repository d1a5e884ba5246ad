package main

import "runtime/debug"

const garbagePercent = 400

// collectSeldom lets more garbage gather than usual: little memory is in use, so Go would collect
// after every hundred images, which takes a third of the time of cached answers. Bounded by twice
// what bodies and cache may take; the environment's GOGC and GOMEMLIMIT come first.
func collectSeldom(settings *settings, getenv func(string) string) {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(2 * (settings.server.MaxBodyBytes + settings.cacheBytes))
	}
}
