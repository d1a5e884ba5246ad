package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A contract is sealed as text, so the text itself is checked: read and written again, it must be
// the same bytes. This file writes JSON as the package that seals it does: keys in the order of
// their code points, everything outside ASCII escaped, floats in the shortest form that reads back
// as the same number.

const (
	maxDepth  = 16   // written with indents, deep text grows as the square of its depth
	maxDigits = 4300 // of an integer: Python reads no more
)

// decodeJSON returns the tree of one JSON value; numbers keep their text, of equal keys the last
// counts.
func decodeJSON(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the end of the JSON value")
	}
	return tree, nil
}

// canonicalJSON returns the one text of a tree of decodeJSON. An indent of 0 writes one line.
func canonicalJSON(tree any, indent int) ([]byte, error) {
	writer := canonicalWriter{indent: indent}
	if err := writer.value(tree, 0); err != nil {
		return nil, err
	}
	return writer.Bytes(), nil
}

type canonicalWriter struct {
	bytes.Buffer
	indent int
}

func (w *canonicalWriter) value(tree any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("a value lies more than %d levels deep", maxDepth)
	}
	switch value := tree.(type) {
	case nil:
		w.WriteString("null")
	case bool:
		w.WriteString(strconv.FormatBool(value))
	case string:
		w.text(value)
	case json.Number:
		return w.number(value.String())
	case []any:
		return w.list('[', ']', len(value), depth, func(index int) error {
			return w.value(value[index], depth+1)
		})
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		slices.Sort(keys) // UTF-8 sorts as the code points do
		return w.list('{', '}', len(keys), depth, func(index int) error {
			w.text(keys[index])
			w.WriteString(": ")
			return w.value(value[keys[index]], depth+1)
		})
	default:
		return fmt.Errorf("a value of type %T has no JSON", tree)
	}
	return nil
}

func (w *canonicalWriter) list(
	opening, closing byte, length, depth int, item func(index int) error,
) error {
	w.WriteByte(opening)
	for index := range length {
		switch {
		case index > 0 && w.indent == 0:
			w.WriteString(", ")
		case index > 0:
			w.WriteByte(',')
		}
		w.newline(depth + 1)
		if err := item(index); err != nil {
			return err
		}
	}
	if length > 0 {
		w.newline(depth)
	}
	w.WriteByte(closing)
	return nil
}

func (w *canonicalWriter) newline(depth int) {
	if w.indent > 0 {
		w.WriteByte('\n')
		w.WriteString(strings.Repeat(" ", w.indent*depth))
	}
}

func (w *canonicalWriter) text(value string) {
	const named = "\"\"\\\\\bb\ff\nn\rr\tt" // each character before the letter of its escape
	w.WriteByte('"')
	for _, char := range value {
		at := strings.IndexRune(named, char)
		switch {
		case char < utf8.RuneSelf && at >= 0 && at%2 == 0:
			w.WriteByte('\\')
			w.WriteByte(named[at+1])
		case ' ' <= char && char <= '~':
			w.WriteByte(byte(char))
		case char > 0xFFFF:
			high, low := utf16.EncodeRune(char)
			fmt.Fprintf(w, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(w, `\u%04x`, char)
		}
	}
	w.WriteByte('"')
}

func (w *canonicalWriter) number(text string) error {
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			text = "0"
		}
		if len(strings.TrimPrefix(text, "-")) > maxDigits {
			return fmt.Errorf("an integer of %d digits", len(text))
		}
		w.WriteString(text)
		return nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("the number %s is out of range: %w", text, err)
	}
	w.Write(AppendFloat(w.AvailableBuffer(), value))
	return nil
}

// AppendFloat appends a finite number as Python writes it, in its shortest form that reads back as the same float64 and
// as a float: 1.0, 0.25, 1e-07.
func AppendFloat(text []byte, value float64) []byte {
	if size := math.Abs(value); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.AppendFloat(text, value, 'e', -1, 64)
	}
	start := len(text)
	text = strconv.AppendFloat(text, value, 'f', -1, 64)
	if !bytes.ContainsRune(text[start:], '.') {
		text = append(text, ".0"...)
	}
	return text
}
