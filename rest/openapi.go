package rest

import (
	"bytes"
	_ "embed"
	"errors"
	"net/http"

	"imagerequests/imaging"
)

//go:embed openapi.json
var document []byte

// described is the document as a resource of its own: open to everybody, whatever they accept.
var described = resource{allow: "GET, HEAD, OPTIONS"}

// OpenAPI makes the handler that answers any path with the OpenAPI 3.1 document of this interface; it is meant for
// /openapi.json. Of the options it reads Prefix, BaseURL and Origins.
func OpenAPI(o Options) (http.Handler, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	address := o.BaseURL + o.Prefix
	if address == "" {
		address = "/"
	}
	body := bytes.Replace(document, []byte(`"url": "/"`), appendText([]byte(`"url": `), address), 1)
	if address != "/" && bytes.Equal(body, document) {
		return nil, errors.New("rest: the OpenAPI document names no server")
	}
	h := &handler{o}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{handler: h, w: w, r: r, resource: &described}
		x.open()
		switch {
		case x.preflight():
		case r.Method == http.MethodGet, r.Method == http.MethodHead:
			x.succeed(body)
		case r.Method == http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
		default:
			x.fail(refuse(http.StatusMethodNotAllowed, imaging.Invalid, `Method "%s" not allowed.`, r.Method))
		}
	}), nil
}
