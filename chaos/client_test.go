package chaos

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"
)

// client is one who uses the service, over connections of their own.
type client struct {
	base, token string
	http        *http.Client
}

func newClient(base, token string, timeout time.Duration) *client {
	return &client{base: base, token: token, http: &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
}

// reply is what was answered; status 0 if nothing was.
type reply struct {
	status int
	body   string
	errors []problem // of GraphQL
	data   json.RawMessage
	wait   bool // it says when to come again
}

type problem struct {
	Message    string
	Extensions struct {
		Code, Status, Field string
		RetryAfter          int
	}
}

// later tells whether the service was away, or said that it cannot answer now: whoever is told so comes again.
func (r reply) later() bool {
	switch {
	case r.status == 0:
		return true
	case r.status == http.StatusServiceUnavailable, r.status == http.StatusTooManyRequests:
		return r.wait
	}
	return r.status == http.StatusOK && len(r.errors) > 0 && r.errors[0].Extensions.Code == "UNAVAILABLE" && r.errors[0].Extensions.RetryAfter > 0
}

func (r reply) code() string {
	if len(r.errors) == 0 {
		return ""
	}
	return r.errors[0].Extensions.Code
}

// do sends a request once.
func (c *client) do(ctx context.Context, method, path, body string, headers ...string) (reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Token "+c.token)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	a, err := c.http.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		return reply{}, err
	}
	return reply{status: a.StatusCode, body: string(text), wait: a.Header.Get("Retry-After") != ""}, nil
}

// graphql sends an operation once.
func (c *client) graphql(ctx context.Context, query string, variables map[string]any) (reply, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return reply{}, err
	}
	r, err := c.do(ctx, http.MethodPost, "/graphql", string(body))
	if err != nil {
		return r, err
	}
	var said struct {
		Data   json.RawMessage
		Errors []problem
	}
	if json.Unmarshal([]byte(r.body), &said) == nil {
		r.data, r.errors = said.Data, said.Errors
	}
	return r, nil
}
