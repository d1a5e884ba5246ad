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
	s := &settings{cacheBytes: 5 << 20, connections: 16}
	s.server.MaxBodyBytes = 10 << 20
	collectSeldom(s, func(string) (string, bool) { return "set", true })
	if debug.SetGCPercent(100) != 100 || debug.SetMemoryLimit(-1) != limit {
		t.Error("the environment was overruled")
	}
	collectSeldom(s, func(string) (string, bool) { return "", false })
	if found := debug.SetGCPercent(100); found != garbagePercent {
		t.Errorf("garbage may grow by %d %%: expected %d", found, garbagePercent)
	}
	if found := debug.SetMemoryLimit(-1); found != 80<<20 { // 10 and 5, 64 and 16 times 1/16
		t.Errorf("the bound is %d: expected %d", found, 80<<20)
	}
}
