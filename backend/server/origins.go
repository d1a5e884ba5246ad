package server

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const (
	preflightSeconds = "600" // for which a browser need not ask again
	askedHeaders     = "Authorization, Content-Type, Content-Encoding"
)

// isHere tells whether a request is addressed to this machine by a name or address that cannot lead
// elsewhere. Browsers always say whom they ask; a program that does not is no web page.
func isHere(host string) bool {
	if host == "" {
		return true
	}
	name := host
	if split, _, err := net.SplitHostPort(host); err == nil {
		name = split
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	return err == nil && address.Unmap().IsLoopback()
}

func misdirected(host string) *problem {
	return newProblem(http.StatusMisdirectedRequest, "misdirected",
		"'%s' is no address of this machine alone: without a token, expected localhost, 127.0.0.1 or [::1].",
		escaped(host))
}

// allowOrigin lets the scripts of those web pages read an answer that may (CORS), and tells whether
// this is one of them.
func (s *Server) allowOrigin(header http.Header, r *http.Request) bool {
	if len(s.config.Origins) == 0 {
		return false
	}
	origin, granted := r.Header.Get("Origin"), "*"
	if !slices.Contains(s.config.Origins, granted) {
		header.Add("Vary", "Origin")
		granted = origin
	}
	if origin == "" || !slices.Contains(s.config.Origins, granted) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", granted)
	header.Set("Access-Control-Expose-Headers", "Retry-After")
	return true
}

// isPreflight tells whether a browser asks what a web page may send.
func (s *Server) isPreflight(r *http.Request) bool {
	return len(s.config.Origins) > 0 && r.Method == http.MethodOptions &&
		r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight says what may be sent; browsers ask it without a token.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request, found route, allowed bool) error {
	if !allowed {
		return newProblem(http.StatusForbidden, "origin_refused",
			"Web pages of '%s' may not ask here: expected an origin that --cors-origin names.",
			escaped(r.Header.Get("Origin")))
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Methods", found.method)
	header.Set("Access-Control-Allow-Headers", askedHeaders)
	header.Set("Access-Control-Max-Age", preflightSeconds)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
