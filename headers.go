package main

import (
	"maps"
	"net/http"
)

// held are what browsers are held to with every answer, unless a handler says otherwise: an answer is what its type says and no
// page; nobody shows it in a frame or takes it as a part of another page; following a link from it does not tell its address;
// and it uses no device. They hold nothing of the kind back that --origin allows, which asks by CORS.
var held = http.Header{
	"X-Content-Type-Options":       {"nosniff"},
	"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
	"X-Frame-Options":              {"DENY"}, // the same for browsers that do not know frame-ancestors
	"Referrer-Policy":              {"no-referrer"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Permissions-Policy":           {"camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
}

// aYear is how long browsers are to come back by TLS only.
const aYear = "max-age=31536000"

// guarded sets the headers that every answer has.
func guarded(next http.Handler, demo bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		maps.Copy(h, held)         // the lists themselves: who sets or adds makes a new one
		if r.TLS != nil && !demo { // a demonstration's localhost serves other things tomorrow
			h.Set("Strict-Transport-Security", aYear)
		}
		next.ServeHTTP(w, r)
	})
}
