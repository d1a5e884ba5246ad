package main

import "runtime/debug"

const (
	garbagePercent  = 400
	baseBytes       = 64 << 20 // of the program without bodies, cache and connections, garbage included
	connectionBytes = 64 << 10 // of a connection, its request's head included, without its body
)

// collectSeldom lets more garbage gather than usual: little memory is in use, so Go would collect
// after every hundred images, which takes a third of the time of cached answers. It is bounded by
// what the program may take in all; the environment's GOGC and GOMEMLIMIT come first.
func collectSeldom(settings *settings, environment func(string) (string, bool)) {
	if percent, _ := environment("GOGC"); percent == "" {
		debug.SetGCPercent(garbagePercent)
	}
	if limit, _ := environment("GOMEMLIMIT"); limit == "" {
		debug.SetMemoryLimit(memoryBound(settings))
	}
}

// memoryBound returns the bytes that the program takes at most beside TensorFlow, which allocates
// its own: all that clients send is counted in one of them.
func memoryBound(settings *settings) int64 {
	return settings.server.MaxBodyBytes + settings.cacheBytes +
		connectionBytes*int64(settings.connections) + baseBytes
}
