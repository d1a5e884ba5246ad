package artifact

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	longestText = 1000 // characters
	mostLabels  = 100_000
	mostFiles   = 10_000
	mostEntries = 2 * mostFiles // of a folder: files and folders
	mostBytes   = 64 << 30      // of all files: they are read whole before anything is loaded
)

var (
	hashes       = regexp.MustCompile(`^[0-9a-f]{64}$`)
	names        = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	temperatures = bounds{low: 0.01, high: 100}
)

// reader reads the entries of a decoded contract, which may hold anything at all. It keeps the first
// fault of each kind and goes on with zero values.
type reader struct {
	invalid     error // an entry is missing, unknown, of a wrong type or out of range
	unsupported error // an entry holds a word that this version does not know
}

func (r *reader) refuse(place string, value any, expected string, arguments ...any) {
	if r.invalid == nil {
		expected = fmt.Sprintf(expected, arguments...)
		r.invalid = fmt.Errorf("%s is %s: expected %s", place, brief(value), expected)
	}
}

// known tells a word of this version from one that only a later one understands.
func (r *reader) known(place, word string, expected ...string) {
	if !slices.Contains(expected, word) && r.unsupported == nil {
		r.unsupported = fmt.Errorf("%s is %s: this version knows %s",
			place, brief(word), strings.Join(expected, ", "))
	}
}

func (r *reader) object(place string, value any) map[string]any {
	entries, isObject := value.(map[string]any)
	if !isObject {
		r.refuse(place, value, "an object")
	}
	return entries
}

// keys checks that an object has these entries and no other.
func (r *reader) keys(place string, entries map[string]any, names ...string) {
	r.keysAmong(place, entries, names, nil)
}

func (r *reader) keysAmong(place string, entries map[string]any, required, optional []string) {
	for _, name := range required {
		if _, stated := entries[name]; !stated {
			r.refuse(join(place, name), nil, "an entry of that name")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(entries)) { // the same message each time
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			r.refuse(join(place, brief(name)), entries[name], "no entry of that name")
		}
	}
}

// named reads an object whose keys are names that nobody needs to know.
func (r *reader) named(place string, value any, least, most int) map[string]any {
	entries := r.object(place, value)
	r.count(place, len(entries), least, most)
	for name := range entries {
		if !names.MatchString(name) {
			r.refuse(place, name, "names of small letters, digits and underscores")
			return nil
		}
	}
	return entries
}

func (r *reader) files(place string, value any) map[string]string {
	entries := r.object(place, value)
	r.count(place, len(entries), 1, mostFiles)
	found := make(map[string]string, len(entries))
	for name, digest := range entries {
		found[r.text(place, name)] = r.hash(join(place, brief(name)), digest)
	}
	return found
}

func (r *reader) labels(place string, value any) []string {
	items, isList := value.([]any)
	if !isList {
		r.refuse(place, value, "a list")
		return nil
	}
	r.count(place, len(items), 2, mostLabels)
	labels := make([]string, len(items))
	seen := make(map[string]bool, len(items))
	for index, item := range items {
		labels[index] = r.text(fmt.Sprintf("%s: %d", place, index), item)
		if r.invalid != nil {
			return nil
		}
		if seen[labels[index]] {
			r.refuse(place, item, "every label once")
		}
		seen[labels[index]] = true
	}
	return labels
}

func (r *reader) text(place string, value any) string {
	text, isText := value.(string)
	if length := utf8.RuneCountInString(text); !isText || length < 1 || length > longestText {
		r.refuse(place, value, "a text of 1 to %d characters", longestText)
	}
	return text
}

func (r *reader) name(place string, value any) string {
	return r.matching(place, value, names, "a name of small letters, digits and underscores")
}

func (r *reader) hash(place string, value any) string {
	return r.matching(place, value, hashes, "a SHA-256 of 64 hexadecimal digits")
}

func (r *reader) matching(place string, value any, form *regexp.Regexp, expected string) string {
	text, isText := value.(string)
	if !isText || !form.MatchString(text) {
		r.refuse(place, value, "%s", expected)
	}
	return text
}

func (r *reader) count(place string, count, least, most int) {
	if count < least || count > most {
		r.refuse("the number of "+place, count, "%d to %d", least, most)
	}
}

// bounds are what a number may be; open leaves out the ends.
type bounds struct {
	low, high   float64
	whole, open bool
}

// whole allows integers; 48.0 is one.
func whole(low, high float64) bounds { return bounds{low: low, high: high, whole: true} }

func (b bounds) allow(number float64) bool {
	ends := number != b.low && number != b.high
	return b.low <= number && number <= b.high && (ends || !b.open) &&
		(!b.whole || number == math.Trunc(number))
}

func (r *reader) number(place string, value any, allowed bounds) float64 {
	text, isNumber := value.(json.Number)
	number, err := strconv.ParseFloat(text.String(), 64)
	if !isNumber || err != nil || !allowed.allow(number) {
		kind := "a number"
		if allowed.whole {
			kind = "an integer"
		}
		r.refuse(place, value, "%s from %v to %v", kind, allowed.low, allowed.high)
		return 0
	}
	return number
}

// wholeNumber returns an integer of any size, as the nearest float64.
func wholeNumber(value any) (float64, bool) {
	text, isNumber := value.(json.Number)
	number, _ := strconv.ParseFloat(text.String(), 64) // ±Inf for what is out of range
	return number, isNumber && number == math.Trunc(number)
}

func join(place, name string) string {
	if place == "" {
		return name
	}
	return place + ": " + name
}

// brief returns a decoded value on one line of printable characters.
func brief(value any) string {
	text, isText := value.(string)
	switch value := value.(type) {
	case string:
	case []any:
		return fmt.Sprintf("a list of %d", len(value))
	case map[string]any:
		return fmt.Sprintf("an object of %d entries", len(value))
	case nil:
		return "missing or null"
	default:
		text = fmt.Sprint(value)
	}
	if len(text) > 100 {
		text = text[:100] + "…"
	}
	if isText {
		return strconv.QuoteToASCII(text)
	}
	return text
}
