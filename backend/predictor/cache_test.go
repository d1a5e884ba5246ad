package predictor

import (
	"fmt"
	"sync"
	"testing"
)

func newCache(t *testing.T, maxBytes int64) *Cache {
	t.Helper()
	cache, err := NewCache(maxBytes)
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

func TestCacheForgetsWhatWasUsedLongestAgo(t *testing.T) {
	row := []float32{0.25, 0.75}
	cache := newCache(t, 2*rowBytes(row)+rowBytes(row)/2)
	cache.put("a", row)
	cache.put("b", row)
	if found, ok := cache.get("a"); !ok || found[1] != 0.75 {
		t.Errorf("a: %v, %v", found, ok)
	}
	cache.put("c", row)
	if _, ok := cache.get("b"); ok {
		t.Error("b was used longest ago and is still there")
	}
	expected := CacheStats{Hits: 1, Misses: 1, Evictions: 1, Entries: 2, Bytes: 2 * rowBytes(row)}
	if stats := cache.Stats(); stats != expected {
		t.Errorf("got %+v: expected %+v", stats, expected)
	}
	if _, ok := cache.peek("a"); !ok || cache.Stats().Hits != 1 {
		t.Error("peek counts, or does not find a")
	}
}

func TestCacheBounds(t *testing.T) {
	if _, err := NewCache(-1); err == nil {
		t.Error("a bound below zero was taken")
	}
	off := newCache(t, 0)
	off.put("a", []float32{1})
	if off.Stats().Entries != 0 {
		t.Error("a cache of no bytes stored something")
	}
	cache := newCache(t, 1000)
	cache.put("large", make([]float32, 1000))
	if cache.Stats().Entries != 0 {
		t.Error("an entry above the bound was stored")
	}
	cache.put("a", make([]float32, 10))
	cache.put("a", make([]float32, 20))
	if stats := cache.Stats(); stats.Bytes != rowBytes(make([]float32, 20)) || stats.Entries != 1 {
		t.Errorf("a replaced entry is counted twice: %+v", stats)
	}
}

func TestCacheFromManyGoroutines(t *testing.T) {
	cache := newCache(t, 10_000)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for number := range 500 {
				key := fmt.Sprint((worker + number) % 50)
				if _, found := cache.get(key); !found {
					cache.put(key, make([]float32, number%40))
				}
				if stats := cache.Stats(); stats.Bytes > 10_000 || stats.Bytes < 0 {
					t.Errorf("%d bytes: expected 0 to 10000", stats.Bytes)
				}
			}
		})
	}
	group.Wait()
	if stats := cache.Stats(); stats.Hits+stats.Misses != 4000 {
		t.Errorf("%d looks were counted: expected 4000", stats.Hits+stats.Misses)
	}
}
