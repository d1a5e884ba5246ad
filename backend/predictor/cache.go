package predictor

import (
	"fmt"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// entryOverhead is what an entry is counted with beside its numbers: the key's text, the slice's
// header, a list element and a map slot, roughly.
const entryOverhead = 400

// Cache is a bounded memory of probabilities by key: least recently used first out. Any number of
// goroutines and predictors may share one, as the key names the model.
type Cache struct {
	mutex    sync.Mutex
	entries  *simplelru.LRU[string, []float32]
	maxBytes int64
	stats    CacheStats
}

// CacheStats are the counters of a cache.
type CacheStats struct {
	Hits, Misses, Evictions uint64
	Entries                 int
	Bytes                   int64 // never above the bound
}

// NewCache returns an empty cache of at most maxBytes; 0 stores nothing.
func NewCache(maxBytes int64) (*Cache, error) {
	if maxBytes < 0 {
		return nil, fmt.Errorf("a cache of %d bytes cannot be: expected 0 or more", maxBytes)
	}
	entries, err := simplelru.NewLRU[string, []float32](math.MaxInt, nil) // bounded by bytes, not entries
	if err != nil {
		return nil, fmt.Errorf("making a cache: %w", err)
	}
	return &Cache{entries: entries, maxBytes: maxBytes}, nil
}

// get returns a stored row, which nobody may change, and counts a hit or a miss.
func (c *Cache) get(key string) ([]float32, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	row, found := c.entries.Get(key)
	if found {
		c.stats.Hits++
	} else {
		c.stats.Misses++
	}
	return row, found
}

// peek returns a stored row and counts nothing.
func (c *Cache) peek(key string) ([]float32, bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.entries.Peek(key)
}

// put stores a row; the oldest entries make room, one too large is not stored.
func (c *Cache) put(key string, row []float32) {
	size := rowBytes(row)
	if size > c.maxBytes {
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if old, found := c.entries.Peek(key); found {
		c.stats.Bytes -= rowBytes(old)
	}
	c.entries.Add(key, row)
	c.stats.Bytes += size
	for c.stats.Bytes > c.maxBytes {
		_, oldest, _ := c.entries.RemoveOldest()
		c.stats.Bytes -= rowBytes(oldest)
		c.stats.Evictions++
	}
}

// Stats returns the counters as they are now.
func (c *Cache) Stats() CacheStats {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	stats := c.stats
	stats.Entries = c.entries.Len()
	return stats
}

func rowBytes(row []float32) int64 { return int64(4*len(row)) + entryOverhead }
