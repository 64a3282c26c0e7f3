package graph

import (
	"net/http"
	"net/http/httptest"

	"github.com/99designs/gqlgen/graphql"
)

// Executor is what the transports have before them.
func (o Options) Executor() (exec graphql.GraphExecutor) {
	server := o.server()
	server.AddTransport(take(func(e graphql.GraphExecutor) { exec = e }))
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("TAKE", "/", nil))
	return exec
}

// take is a transport that only looks at its executor.
type take func(graphql.GraphExecutor)

func (take) Supports(r *http.Request) bool { return r.Method == "TAKE" }

func (t take) Do(_ http.ResponseWriter, _ *http.Request, exec graphql.GraphExecutor) { t(exec) }
