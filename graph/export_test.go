package graph

import (
	"net/http"
	"net/http/httptest"

	"github.com/99designs/gqlgen/graphql"
)

// Executor is what the transports have before them, with more around each field.
func (o Options) Executor(around ...graphql.FieldMiddleware) (exec graphql.GraphExecutor) {
	server := o.server()
	for _, f := range around {
		server.AroundFields(f)
	}
	server.AddTransport(take(func(e graphql.GraphExecutor) { exec = e }))
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("TAKE", "/", nil))
	return exec
}

// take is a transport that only looks at its executor.
type take func(graphql.GraphExecutor)

func (take) Supports(r *http.Request) bool { return r.Method == "TAKE" }

func (t take) Do(_ http.ResponseWriter, _ *http.Request, exec graphql.GraphExecutor) { t(exec) }

// Unplanned are options with which all answers are gqlgen's own.
func (o Options) Unplanned() Options {
	o.unplanned = true
	return o
}
