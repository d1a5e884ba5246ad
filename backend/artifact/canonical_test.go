package artifact

import (
	"testing"
)

// The expected texts are what Python's json.dumps(value, sort_keys=True) writes.
func TestCanonicalJSON(t *testing.T) {
	for given, expected := range map[string]string{
		`null`:                           `null`,
		` [true,false] `:                 `[true, false]`,
		`[]`:                             `[]`,
		`{}`:                             `{}`,
		`{"b":1,"a":{"c":[]}}`:           `{"a": {"c": []}, "b": 1}`,
		`{"a":1,"a":2}`:                  `{"a": 2}`,
		`{"é":1,"z":2,"😀":3,"\uff5e":4}`: `{"z": 2, "\u00e9": 1, "\uff5e": 4, "\ud83d\ude00": 3}`,
		`"\"\\\/\b\f\n\r\t"`:             `"\"\\/\b\f\n\r\t"`,
		`"<&> ~\u007f\u0000"`:            `"<&> ~\u007f\u0000"`,
		`-0`:                             `0`,
		`123456789012345678901234`:       `123456789012345678901234`,
		`1.0`:                            `1.0`,
		`-0.0`:                           `-0.0`,
		`1e0`:                            `1.0`,
		`0.1000000000000000055`:          `0.1`,
		`0.0001`:                         `0.0001`,
		`0.00001`:                        `1e-05`,
		`9999999999999998.0`:             `9999999999999998.0`,
		`1e16`:                           `1e+16`,
		`5e-324`:                         `5e-324`,
		`0.8207200765609741`:             `0.8207200765609741`,
	} {
		tree, err := decodeJSON([]byte(given))
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if text, err := canonicalJSON(tree, 0); err != nil || string(text) != expected {
			t.Errorf("%s became %s, %v: expected %s", given, text, err, expected)
		}
	}
}

func TestCanonicalJSONOnLines(t *testing.T) {
	tree, err := decodeJSON([]byte(`{"b":[1,{}],"a":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	const expected = "{\n  \"a\": [],\n  \"b\": [\n    1,\n    {}\n  ]\n}"
	if text, err := canonicalJSON(tree, 2); err != nil || string(text) != expected {
		t.Errorf("got %s, %v: expected %s", text, err, expected)
	}
}

func TestNoCanonicalJSON(t *testing.T) {
	for _, text := range []string{``, `{`, `1 2`, `NaN`, `[1,]`, `01`, `"`} {
		if tree, err := decodeJSON([]byte(text)); err == nil {
			t.Errorf("%s was read as %v", text, tree)
		}
	}
	tree, err := decodeJSON([]byte(`1e999`))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := canonicalJSON(tree, 0); err == nil {
		t.Errorf("1e999 became %s: no float holds it", text)
	}
}
