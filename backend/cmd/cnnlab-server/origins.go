package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// readOrigins returns the origins that --cors-origin names, as browsers write them; none for "".
func readOrigins(text string, hasToken bool) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	origins := strings.Split(text, ",")
	for index, origin := range origins {
		origins[index] = strings.TrimSpace(origin)
		if err := checkOrigin(origins[index]); err != nil {
			return nil, err
		}
	}
	switch {
	case !slices.Contains(origins, "*"):
		return origins, nil
	case hasToken:
		return nil, errors.New("--cors-origin * with a token: every web page could use the token; name the origins")
	case len(origins) > 1:
		return nil, errors.New("--cors-origin names * and others: expected * alone, or the others")
	}
	return origins, nil
}

// checkOrigin refuses what no browser sends as Origin, and therefore would never be allowed.
func checkOrigin(origin string) error {
	if origin == "*" {
		return nil
	}
	parsed, err := url.Parse(origin)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return fmt.Errorf("--cors-origin names %q: expected https://host, http://host:port or *", origin)
	}
	if strings.Contains(parsed.Host, "*") {
		return fmt.Errorf("--cors-origin names %q: there are no patterns; name each origin, or *", origin)
	}
	port := parsed.Port()
	if (parsed.Scheme == "http" && port == "80") || (parsed.Scheme == "https" && port == "443") {
		port = ""
	}
	expected := parsed.Scheme + "://" + strings.ToLower(parsed.Hostname())
	if strings.Contains(parsed.Hostname(), ":") {
		expected = parsed.Scheme + "://[" + strings.ToLower(parsed.Hostname()) + "]"
	}
	if port != "" {
		expected += ":" + port
	}
	if origin != expected {
		return fmt.Errorf("--cors-origin names %q: browsers write %q", origin, expected)
	}
	if strings.ContainsFunc(origin, func(char rune) bool { return char > '~' }) {
		return fmt.Errorf("--cors-origin names %q: browsers write such a name in ASCII (xn--…)", origin)
	}
	return nil
}
