package rest

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"imagerequests/auth"
	"imagerequests/imaging"
)

// TestErrorTable shows how each code is told, those included that no request of today brings about.
func TestErrorTable(t *testing.T) {
	t.Parallel()
	field := imaging.Errorf(imaging.Invalid, "no")
	field.Field = "vis"
	busy := imaging.Errorf(imaging.Unavailable, "busy")
	busy.RetryAfter = 1500 * time.Millisecond
	for _, c := range []struct {
		err         error
		status      int
		body        string
		name, value string
	}{
		{field, 400, `{"vis":["no"]}`, "", ""},
		{imaging.Errorf(imaging.Invalid, "no"), 400, `{"non_field_errors":["no"]}`, "", ""},
		{imaging.ErrUnauthenticated(), 401, `{"detail":"Authentication credentials were not provided."}`, "WWW-Authenticate", "Token"},
		{imaging.ErrForbidden(), 403, `{"detail":"You do not have permission to perform this action."}`, "WWW-Authenticate", ""},
		{imaging.ErrNotFound(), 404, `{"detail":"Not found."}`, "", ""},
		{imaging.Errorf(imaging.Conflict, "taken"), 409, `{"detail":"taken"}`, "", ""},
		{imaging.Errorf(imaging.Limited, "slowly"), 429, `{"detail":"slowly"}`, "", ""},
		{busy, 503, `{"detail":"busy"}`, "Retry-After", "2"},
		{imaging.Errorf(imaging.Unavailable, "away"), 503, `{"detail":"away"}`, "Retry-After", "1"},
		{refuse(http.StatusTeapot, imaging.Invalid, "tea %q", "<"), 418, `{"detail":"tea \"<\""}`, "", ""},
	} {
		w, _ := failed(c.err)
		if w.Code != c.status || w.Body.String() != c.body || c.name != "" && w.Header().Get(c.name) != c.value {
			t.Errorf("%v: got  %d %s %v\nwant %d %s", c.err, w.Code, w.Body, w.Header(), c.status, c.body)
		}
	}
}

// TestInternalErrors shows that the cause goes to the log and nowhere else, and that the request's id joins the two.
func TestInternalErrors(t *testing.T) {
	t.Parallel()
	w, log := failed(errors.New("secret cause"))
	id := w.Header().Get("X-Request-Id")
	if want := `{"detail":"Something went wrong on our side. Request id: ` + id + `"}`; w.Code != 500 || w.Body.String() != want || id == "" {
		t.Errorf("%d %s, id %q", w.Code, w.Body, id)
	}
	if !strings.Contains(log, "secret cause") || !strings.Contains(log, id) {
		t.Errorf("log: %s", log)
	}
}

func failed(err error) (*httptest.ResponseRecorder, string) {
	var log bytes.Buffer
	w := httptest.NewRecorder()
	h := &handler{Options{Log: slog.New(slog.NewTextHandler(&log, nil))}}
	auth.Identify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(&exchange{handler: h, w: w, r: r, resource: &collection}).fail(err)
	})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/image_requests", nil))
	return w, log.String()
}
