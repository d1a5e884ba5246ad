package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func crossing(method, path, origin string) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader("1"))
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	return r
}

func preflightOf(path, origin string) *http.Request {
	r := crossing(http.MethodOptions, path, origin)
	r.Header.Set("Access-Control-Request-Method", "POST")
	return r
}

const friend, stranger = "https://a.example", "https://evil.example"

func TestOrigins(t *testing.T) {
	some := New(Config{Token: "secret", Origins: []string{friend, "http://b.example:3000"}}, &fakeModel{id: hash("a")})
	all := New(Config{Origins: []string{"*"}}, &fakeModel{id: hash("a")})
	none := New(Config{}, &fakeModel{id: hash("a")})
	token := func(r *http.Request) *http.Request {
		r.Header.Set("Authorization", "Bearer secret")
		return r
	}
	for name, test := range map[string]struct {
		server  *Server
		request *http.Request
		status  int
		allowed string
		vary    string
	}{
		"friend":               {some, token(crossing("POST", "/v1/predict", friend)), 200, friend, "Origin"},
		"another friend":       {some, token(crossing("POST", "/v1/predict", "http://b.example:3000")), 200, "http://b.example:3000", "Origin"},
		"refused friend":       {some, crossing("POST", "/v1/predict", friend), 401, friend, "Origin"},
		"lost friend":          {some, crossing("GET", "/there", friend), 404, friend, "Origin"},
		"stranger":             {some, token(crossing("POST", "/v1/predict", stranger)), 200, "", "Origin"},
		"another port":         {some, token(crossing("POST", "/v1/predict", friend+":444")), 200, "", "Origin"},
		"null":                 {some, token(crossing("POST", "/v1/predict", "null")), 200, "", "Origin"},
		"a star":               {some, token(crossing("POST", "/v1/predict", "*")), 200, "", "Origin"},
		"no page":              {some, token(crossing("POST", "/v1/predict", "")), 200, "", "Origin"},
		"anybody":              {all, crossing("POST", "/v1/predict", stranger), 200, "*", ""},
		"switched off":         {none, crossing("POST", "/v1/predict", friend), 200, "", ""},
		"preflight":            {some, preflightOf("/v1/predict", friend), 204, friend, "Origin"},
		"preflight of a batch": {some, preflightOf("/v1/predict:batch", friend), 204, friend, "Origin"},
		"preflight to nowhere": {some, preflightOf("/there", friend), 404, friend, "Origin"},
		"stranger's preflight": {some, preflightOf("/v1/predict", stranger), 403, "", "Origin"},
		"anybody's preflight":  {all, preflightOf("/v1/predict", stranger), 204, "*", ""},
		"no preflight":         {some, crossing("OPTIONS", "/v1/predict", friend), 405, friend, "Origin"},
		"preflight, off":       {none, preflightOf("/v1/predict", friend), 405, "", ""},
	} {
		answer := ask(test.server, test.request)
		header := answer.Header()
		allowed, vary := header.Get("Access-Control-Allow-Origin"), header.Get("Vary")
		if answer.Code != test.status || allowed != test.allowed || vary != test.vary {
			t.Errorf("%s: got %d %q %q: expected %d %q %q",
				name, answer.Code, allowed, vary, test.status, test.allowed, test.vary)
		}
		methods := header.Get("Access-Control-Allow-Methods")
		if (methods == "POST") != (answer.Code == 204) || (answer.Code == 204 && answer.Body.Len() > 0) {
			t.Errorf("%s: the methods are %q, the body %q", name, methods, answer.Body)
		}
		if header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", name)
		}
		asked := header.Get("Access-Control-Allow-Headers")
		if answer.Code == 204 && !strings.Contains(asked, "Authorization") {
			t.Errorf("%s: the headers are %q", name, asked)
		}
	}
	if said := message(t, ask(some, preflightOf("/v1/predict", stranger))); !strings.Contains(said, "'"+stranger+"'") {
		t.Errorf("got %s: expected the origin", said)
	}
}

// A web page whose name leads here asks by that name (DNS rebinding).
func TestOnlyHere(t *testing.T) {
	here := New(Config{OnlyHere: true}, &fakeModel{id: hash("a")})
	anywhere := New(Config{}, &fakeModel{id: hash("a")})
	for host, status := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LocalHost.": 200, "a.localhost:1": 200, "127.0.0.1:8080": 200,
		"127.9.8.7": 200, "[::1]:8080": 200, "[::1]": 200, "::1": 200, "[::ffff:127.0.0.1]:1": 200, "": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "notlocalhost": 421,
		"127.0.0.1.evil.example": 421, "10.0.0.1:8080": 421, "0.0.0.0": 421, "[::]:80": 421, "169.254.169.254": 421,
		":8080": 421, "2130706433": 421, "0x7f.1": 421,
	} {
		for _, path := range []string{"/healthz", "/v1/model", "/metrics", "/there"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = host
			expected := status
			if path == "/there" && status == 200 {
				expected = 404
			}
			if answer := ask(here, r); answer.Code != expected {
				t.Errorf("%s at %q: got %d: expected %d", path, host, answer.Code, expected)
			}
		}
		r := httptest.NewRequest("GET", "/healthz", nil)
		r.Host = host
		expect(t, ask(anywhere, r), 200, "")
	}
	r := httptest.NewRequest("GET", "/healthz", nil)
	r.Host = "evil.example"
	expect(t, ask(here, r), 421, "misdirected")
}
