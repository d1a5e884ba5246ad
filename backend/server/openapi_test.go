package server

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"cnnlab/backend/validation"
)

func description(t *testing.T) (*openapi3.T, routers.Router) {
	t.Helper()
	document, err := openapi3.NewLoader().LoadFromFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(document)
	if err != nil {
		t.Fatal(err)
	}
	return document, router
}

// The description names the server's routes and methods, no more and no fewer.
func TestDescribedRoutes(t *testing.T) {
	document, _ := description(t)
	s := New(Config{}, nil)
	for path, item := range document.Paths.Map() {
		for method := range item.Operations() {
			if found, known := s.routes[path]; !known || found.method != method {
				t.Errorf("%s %s is described, but not served", method, path)
			}
		}
	}
	for path, found := range s.routes {
		item := document.Paths.Value(path)
		if item == nil || item.GetOperation(found.method) == nil {
			t.Errorf("%s %s is served, but not described", found.method, path)
		} else if open := item.GetOperation(found.method).Security; (open != nil) != found.open {
			t.Errorf("%s: the description errs on the token", path)
		}
	}
}

func TestDescribedCodes(t *testing.T) {
	document, _ := description(t)
	codes := document.Components.Schemas["Error"].Value.Properties["error"].Value.Properties["code"]
	for _, code := range []string{
		validation.CodeEmpty, validation.CodeTooManyBytes, validation.CodeForeignFormat,
		validation.CodeUnknownFormat, validation.CodeCorrupt, validation.CodeUnsupported,
		validation.CodeTooManyScans, validation.CodeSideTooSmall, validation.CodeSideTooLarge,
		validation.CodeTooManyPixels, validation.CodeAspectRatio, validation.CodeAnimated,
	} {
		if !slices.Contains(codes.Value.Enum, any(code)) {
			t.Errorf("%s is not described", code)
		}
	}
	image := document.Components.Schemas["Image"].Value
	if *image.MaxLength != validation.MaxBytes {
		t.Errorf("at most %d bytes are described: expected %d", *image.MaxLength, validation.MaxBytes)
	}
}

// The codes that the server itself answers with are described, too.
func TestOwnCodesAreDescribed(t *testing.T) {
	document, _ := description(t)
	codes := document.Components.Schemas["Error"].Value.Properties["error"].Value.Properties["code"]
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		for _, match := range regexp.MustCompile(`newProblem\(\s*[\w.]+,\s*"(\w+)"`).FindAllSubmatch(text, -1) {
			found++
			if code := string(match[1]); code != "client_gone" && !slices.Contains(codes.Value.Enum, any(code)) {
				t.Errorf("%s of %s is not described", code, source)
			}
		}
	}
	if found < 15 {
		t.Errorf("%d codes were found", found)
	}
}

// Requests and answers of the live handlers are what the description says.
func TestAnswersAreAsDescribed(t *testing.T) {
	_, router := description(t)
	ready := New(Config{MaxImages: 2}, &fakeModel{id: hash("a")})
	locked := New(Config{Token: "secret"}, &fakeModel{id: hash("a")})
	starting := New(Config{}, nil)
	many := New(Config{}, &fakeModel{id: hash("a"), classes: 9})
	here := New(Config{OnlyHere: true}, &fakeModel{id: hash("a")}) // the requests are for example.com
	asking := func(r *http.Request, query string) *http.Request {
		r.URL.RawQuery = query
		return r
	}
	image := part{"image", "", "12345"}
	raw := func(content string) *http.Request {
		return post("/v1/predict", "application/octet-stream", strings.NewReader(content))
	}
	get := func(path string) *http.Request { return httptest.NewRequest("GET", path, nil) }
	for _, test := range []struct {
		name    string
		server  *Server
		request *http.Request
		status  int
		sound   bool // the request itself is as described
	}{
		{"raw", ready, raw("12345"), 200, true},
		{"typed", ready, post("/v1/predict", "image/png", strings.NewReader("12345")), 200, true},
		{"form", ready, formPost(t, "/v1/predict", image), 200, true},
		{"empty", ready, raw(""), 400, false},
		{"no form", ready, formPost(t, "/v1/predict"), 400, false},
		{"locked", locked, raw("12345"), 401, true},
		{"two images", ready, formPost(t, "/v1/predict", image, image), 413, true},
		{"foreign", ready, raw("refuse foreign_format"), 415, true},
		{"JSON", ready, post("/v1/predict", "application/json", strings.NewReader("{}")), 415, false},
		{"corrupt", ready, raw("refuse corrupt"), 422, true},
		{"broken", ready, raw("broken"), 500, true},
		{"busy", ready, raw("busy"), 503, true},
		{"late", ready, raw("late"), 504, true},
		{"batch", ready, formPost(t, "/v1/predict:batch", image, part{"image", "", "refuse corrupt"}), 200, true},
		{"large batch", ready, formPost(t, "/v1/predict:batch", image, image, image), 413, true},
		{"starting batch", starting, formPost(t, "/v1/predict:batch", image), 503, true},
		{"gzip", ready, coded("/v1/predict", "image/png", "gzip", packed(t, "12345")), 200, true},
		{"br", ready, coded("/v1/predict", "image/png", "br", "12345"), 415, false},
		{"top", many, asking(raw("12345"), "top=3"), 200, true},
		{"all", many, asking(raw("12345"), "top=all"), 200, true},
		{"no top", many, asking(raw("12345"), "top=0"), 400, false},
		{"top of a batch", many, asking(formPost(t, "/v1/predict:batch", image), "top=all"), 200, true},
		{"elsewhere", here, raw("12345"), 421, true},
		{"model elsewhere", here, get("/v1/model"), 421, true},
		{"health elsewhere", here, get("/healthz"), 421, true},
		{"model", ready, get("/v1/model"), 200, true},
		{"locked model", locked, get("/v1/model"), 401, true},
		{"starting model", starting, get("/v1/model"), 503, true},
		{"health", locked, get("/healthz"), 200, true},
		{"ready", locked, get("/readyz"), 200, true},
		{"starting", starting, get("/readyz"), 503, true},
		{"metrics", ready, get("/metrics"), 200, true},
		{"locked metrics", locked, get("/metrics"), 401, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			body, err := io.ReadAll(test.request.Body)
			if err != nil {
				t.Fatal(err)
			}
			copied := func() *http.Request {
				again := test.request.Clone(t.Context())
				again.Body = io.NopCloser(bytes.NewReader(body))
				return again
			}
			route, parameters, err := router.FindRoute(test.request)
			if err != nil {
				t.Fatal(err)
			}
			options := &openapi3filter.Options{
				IncludeResponseStatus: true, MultiError: true,
				AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
			}
			asked := &openapi3filter.RequestValidationInput{
				Request: copied(), PathParams: parameters, Route: route, Options: options,
			}
			err = openapi3filter.ValidateRequest(t.Context(), asked)
			if (err == nil) != test.sound {
				t.Errorf("the request: %v", err)
			}
			answer := ask(test.server, copied())
			if answer.Code != test.status {
				t.Errorf("got %d: expected %d", answer.Code, test.status)
			}
			err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
				RequestValidationInput: asked, Status: answer.Code, Header: answer.Header(),
				Body: io.NopCloser(answer.Body), Options: options,
			})
			if err != nil {
				t.Errorf("the answer: %v", err)
			}
		})
	}
}
