package server

import (
	"strings"
	"testing"

	"golang.org/x/sync/semaphore"
)

// An image of common size is read into one piece of memory, which is no larger than announced.
func TestAnAnnouncedBodyTakesWhatItNeeds(t *testing.T) {
	image := strings.Repeat("x", 50_000)
	for announced, fits := range map[int]bool{len(image): true, -1: false} {
		body := loan{from: semaphore.NewWeighted(int64(len(image) + 1))}
		content, err := body.read(strings.NewReader(image), int64(announced))
		if (err == nil && string(content) == image) != fits {
			t.Errorf("%d announced: %d bytes, %v", announced, len(content), err)
		}
	}
}
