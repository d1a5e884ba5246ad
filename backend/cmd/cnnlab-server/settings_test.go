package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file and the variable go by one rule: what is there holds a token, or the server does not start.
func TestTokens(t *testing.T) {
	for text, expected := range map[string]string{
		"secret": "secret", " secret\r\n": "secret", "open sesame": "open sesame",
		"": "", " ": "", "\n": "", "\t\r\n \v": "", "\u00a0": "", "one\ntwo": "", "a\x00b": "",
		strings.Repeat("x", maxTokenBytes):       strings.Repeat("x", maxTokenBytes),
		strings.Repeat("x", maxTokenBytes+1):     "",
		strings.Repeat("x", 3*maxTokenBytes):     "",
		strings.Repeat(" ", maxTokenBytes) + "x": "", // cut off, it would be blank
	} {
		file := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		environment := func(string) (string, bool) { return text, true }
		for source, path := range map[string]string{tokenVariable: "", file: file} {
			token, err := readToken(path, environment)
			if token != expected || (err == nil) != (expected != "") {
				t.Errorf("%.20q in %s: got %.20q, %v: expected %.20q", text, source, token, err, expected)
			}
			if err != nil && !strings.Contains(err.Error(), source) {
				t.Errorf("%v does not name %s", err, source)
			}
		}
	}
	none := func(string) (string, bool) { return "", false }
	if token, err := readToken("", none); token != "" || err != nil {
		t.Errorf("got %q, %v: expected that none is asked for", token, err)
	}
}

func TestTheFileComesBeforeTheVariable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := func(string) (string, bool) { return "of the environment", true }
	if token, err := readToken(file, other); err != nil || token != "secret" {
		t.Errorf("got %q, %v: expected the file's", token, err)
	}
}

// Beyond this machine the server listens with a token, or on somebody's word.
func TestTheOpenDoor(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	secret := func(name string) (string, bool) { return "secret", name == tokenVariable }
	for _, test := range []struct {
		address     string
		environment func(string) (string, bool)
		flags       []string
		opens       bool
		warns       bool
	}{
		{"127.0.0.1:0", none, nil, true, false},
		{"127.0.0.2:0", none, nil, true, false},
		{"localhost:0", none, nil, true, false},
		{"0.0.0.0:0", none, nil, false, false},
		{":0", none, nil, false, false},
		{"[::]:0", none, nil, false, false},
		{":0", none, []string{"--insecure"}, true, true},
		{":0", secret, nil, true, false},
		{"127.0.0.1:0", none, []string{"--insecure"}, true, false},
	} {
		args := append([]string{"--model", "x", "--addr", test.address}, test.flags...)
		var output log
		settings, err := parse(args, test.environment, &output)
		if err != nil {
			t.Fatal(err)
		}
		service, err := newService(settings, &output)
		if err != nil {
			t.Fatal(err)
		}
		listener, err := service.listen()
		if (err == nil) != test.opens {
			t.Errorf("%s %v: %v", test.address, test.flags, err)
		}
		if err == nil {
			listener.Close()
		} else if !strings.Contains(err.Error(), "--insecure") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v does not say what to do in one line", err)
		}
		if warned := strings.Contains(output.text.String(), "insecure"); warned != test.warns {
			t.Errorf("%s %v: the log is %s", test.address, test.flags, output.text.String())
		}
	}
}

// An origin is what browsers write; everything else would never be allowed, and is refused at the start.
func TestOriginsOfTheCommandLine(t *testing.T) {
	for text, expected := range map[string]string{
		"": "", "https://a.example": "https://a.example", "*": "*",
		"https://a.example, http://b.example:3000": "https://a.example http://b.example:3000",
		"http://[::1]:3000":                        "http://[::1]:3000",
		"https://xn--caf-dma.example":              "https://xn--caf-dma.example",
		"a.example":                                "expected https://host",
		"null":                                     "expected https://host",
		"file://":                                  "expected https://host",
		"ftp://a.example":                          "expected https://host",
		"https://a.example,":                       "expected https://host",
		"https://*.a.example b":                    "expected https://host",
		"https://a.example/":                       `browsers write "https://a.example"`,
		"https://a.example/app":                    `browsers write "https://a.example"`,
		"https://A.example":                        `browsers write "https://a.example"`,
		"https://a.example:443":                    `browsers write "https://a.example"`,
		"http://me:word@a.example":                 `browsers write "http://a.example"`,
		"https://café.example":                     "in ASCII",
		"https://*.a.example":                      "no patterns",
		"*,https://a.example":                      "expected * alone",
	} {
		origins, err := readOrigins(text, false)
		refused := expected != "" && !strings.HasPrefix(expected, "http") && expected != "*"
		switch {
		case refused && (err == nil || !strings.Contains(err.Error(), expected)):
			t.Errorf("%q: got %v, %v: expected %q", text, origins, err, expected)
		case !refused && (err != nil || strings.Join(origins, " ") != expected):
			t.Errorf("%q: got %q, %v: expected %q", text, origins, err, expected)
		}
	}
	if _, err := readOrigins("*", true); err == nil {
		t.Error("every web page may use the token")
	}
	if _, err := readOrigins("https://a.example", true); err != nil {
		t.Error(err)
	}
}

// Only a server that listens to this machine alone, without a token, goes by the name it is asked by.
func TestTheNamesItAnswersTo(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	secret := func(name string) (string, bool) { return "secret", name == tokenVariable }
	for _, test := range []struct {
		environment func(string) (string, bool)
		flags       []string
		status      int
	}{{none, nil, 421}, {none, []string{"--insecure"}, 200}, {secret, nil, 200}} {
		settings, err := parse(append([]string{"--model", "x"}, test.flags...), test.environment, &log{})
		if err != nil {
			t.Fatal(err)
		}
		service, err := newService(settings, &log{})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = "evil.example"
		answer := httptest.NewRecorder()
		service.server.ServeHTTP(answer, r)
		if answer.Code != test.status {
			t.Errorf("%v: got %d: expected %d", test.flags, answer.Code, test.status)
		}
	}
}
