package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTop(t *testing.T) {
	s := New(Config{}, &fakeModel{id: hash("a"), classes: 9})
	for query, listed := range map[string]int{
		"": 5, "?": 5, "?other=1": 5, "?top=1": 1, "?top=3": 3, "?a=b&top=7": 7, "?top=10": 10,
		"?top=11": 10, "?top=2000000000": 10, "?top=all": 10, "?Top=1": 5, "?stop=1": 5,
		"?top=0": -1, "?top=-1": -1, "?top=": -1, "?top": -1, "?top=1.5": -1, "?top=ALL": -1, "?top=+3": -1,
		"?top=99999999999999999999": -1, "?top=3&top=3": -1, "?top=%33": -1, "?top=<b>": -1,
	} {
		for _, path := range []string{"/v1/predict", "/v1/predict:batch"} {
			r := formPost(t, path, part{"image", "", "12345"})
			r.URL.RawQuery = strings.TrimPrefix(query, "?")
			answer := ask(s, r)
			if listed < 0 {
				expect(t, answer, 400, "malformed_request")
				continue
			}
			expect(t, answer, 200, "")
			if found := strings.Count(answer.Body.String(), `{"label":"<5>","probability":1.0}`); found != listed {
				t.Errorf("%s%s: %d are listed: expected %d", path, query, found, listed)
			}
		}
	}
	for query, words := range map[string]string{
		"top=0":       "top is '0': expected a whole number of 1 or more, or all.",
		"top=1&top=2": "The address says top more than once.",
	} {
		r := post("/v1/predict", "", strings.NewReader("1"))
		r.URL.RawQuery = query
		if said := message(t, ask(s, r)); said != words {
			t.Errorf("got %s: expected %s", said, words)
		}
	}
}

// A long list is counted like the images that it is about.
func TestListsAreCounted(t *testing.T) {
	s := New(Config{MaxBodyBytes: 1 << 20}, &fakeModel{id: hash("a"), classes: 20_000})
	for query, status := range map[string]int{"top=9": 200, "top=all": 503} {
		r := post("/v1/predict", "", strings.NewReader("1"))
		r.URL.RawQuery = query
		if answer := ask(s, r); answer.Code != status {
			t.Errorf("%s: got %d: expected %d", query, answer.Code, status)
		}
	}
	if !s.bodies.TryAcquire(1 << 20) {
		t.Error("not all was given back")
	}
}

// message returns what an answer says to a person.
func message(t *testing.T, answer *httptest.ResponseRecorder) string {
	t.Helper()
	var body struct{ Error struct{ Message string } }
	if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
		t.Fatalf("the body is no JSON: %s", answer.Body)
	}
	return body.Error.Message
}

func TestWhatIsSaidOfForms(t *testing.T) {
	s := New(Config{MaxImages: 2}, &fakeModel{id: hash("a")})
	image := part{"image", "", "1"}
	for words, r := range map[string]*http.Request{
		"The form has the field 'picture'; expected 'image'.":                                             formPost(t, "/v1/predict", part{"picture", "", "1"}),
		"The form has the field 'file'; expected 'image'.":                                                formPost(t, "/v1/predict:batch", image, part{"file", "", "1"}),
		"The form has the field 'top'; expected it in the address: ?top=3.":                               formPost(t, "/v1/predict", image, part{"top", "", "1"}),
		"The form has a field without a name; expected 'image'.":                                          formPost(t, "/v1/predict", part{"", "", "1"}),
		`The form has the field '\u202e<b>'; expected 'image'.`:                                           formPost(t, "/v1/predict", part{"\u202e<b>", "", "1"}),
		"The form holds more than one image: send several to /v1/predict:batch.":                          formPost(t, "/v1/predict", image, image),
		"The form holds more than 2 images: send them in several requests.":                               formPost(t, "/v1/predict:batch", image, image, image),
		"The form is empty: expected a file in the field \"image\".":                                      formPost(t, "/v1/predict"),
		"Bodies of type \"application/json\" are not read: expected multipart/form-data with the images.": post("/v1/predict:batch", "application/json", strings.NewReader("{}")),
	} {
		if said := message(t, ask(s, r)); said != words {
			t.Errorf("got %s: expected %s", said, words)
		}
	}
}
