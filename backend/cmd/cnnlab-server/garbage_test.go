package main

import (
	"runtime/debug"
	"testing"
)

func TestCollectSeldom(t *testing.T) {
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	t.Cleanup(func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
	s := &settings{cacheBytes: 5 << 20}
	s.server.MaxBodyBytes = 10 << 20
	collectSeldom(s, func(string) string { return "set" })
	if debug.SetGCPercent(100) != 100 || debug.SetMemoryLimit(-1) != limit {
		t.Error("the environment was overruled")
	}
	collectSeldom(s, func(string) string { return "" })
	if found := debug.SetGCPercent(100); found != garbagePercent {
		t.Errorf("garbage may grow by %d %%: expected %d", found, garbagePercent)
	}
	if found := debug.SetMemoryLimit(-1); found != 30<<20 {
		t.Errorf("the bound is %d: expected %d", found, 30<<20)
	}
}
