package server

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"cnnlab/backend/predictor"
)

const (
	topName        = "top"
	candidateBytes = 64 // that a class takes which an answer lists beyond the usual
)

// wantedTop returns how many classes an answer is to list, as the address says: ?top=3, ?top=all.
// Where it says nothing, that is the predictor's own number. Other names in a query mean nothing.
func wantedTop(r *http.Request) (int, error) {
	top, found := predictor.DefaultTop, false
	for pair, rest := "", r.URL.RawQuery; rest != ""; {
		pair, rest, _ = strings.Cut(rest, "&")
		name, value, _ := strings.Cut(pair, "=")
		if name != topName {
			continue
		}
		if found {
			return 0, malformed("The address says top more than once.")
		}
		found = true
		number, err := strconv.ParseUint(value, 10, 31)
		switch {
		case value == "all":
			top = math.MaxInt32
		case err != nil || number == 0:
			return 0, malformed("top is '%s': expected a whole number of 1 or more, or all.", escaped(value))
		default:
			top = int(number)
		}
	}
	return top, nil
}

// takeListed counts what the answers for so many images take beyond the usual.
func (l *loan) takeListed(model Model, images, top int) error {
	more := min(top, len(model.Artifact().Contract.ClassNames)) - predictor.DefaultTop
	return l.take(int64(max(0, more)) * int64(images) * candidateBytes)
}
