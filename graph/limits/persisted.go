package limits

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
)

// Documents are trusted texts, and the ids that clients send for them.
type Documents struct {
	byID map[string]string
	text map[string]bool
}

// find puts the document's text where the client sent only its id, and tells the hash under which the text may be
// remembered: that of Apollo's persisted queries, sent along with the text. PERSISTED_QUERY_NOT_FOUND asks the client to
// send the text, INVALID refuses what does not belong together, FORBIDDEN a text that is not among the trusted ones.
func (g *Gate) find(ctx context.Context, p *graphql.RawParams) (hash string, err error) {
	id, hash, err := named(p.Extensions)
	switch {
	case err != nil:
		return "", err
	case p.Query == "" && id == "":
		return "", invalid("query", "query is missing.")
	case p.Query == "":
		return "", g.recall(ctx, id, p)
	case hash != "" && hash != sum(p.Query):
		return "", invalid("extensions.persistedQuery.sha256Hash", "The hash is not that of the query.")
	case g.Trusted != nil && !g.Trusted.text[p.Query]:
		return "", imaging.Errorf(imaging.Forbidden, "This service carries out trusted documents only, and this is none.")
	}
	return hash, nil
}

func (g *Gate) recall(ctx context.Context, id string, p *graphql.RawParams) error {
	var text string
	var ok bool
	if g.Trusted != nil {
		text, ok = g.Trusted.byID[id]
	} else {
		text, ok = g.persisted.Get(ctx, id)
	}
	if !ok {
		e := gqlerror.Errorf("PersistedQueryNotFound") // Apollo's clients go by this text, or by this code
		errcode.Set(e, "PERSISTED_QUERY_NOT_FOUND")
		return e
	}
	p.Query = text
	return nil
}

// named is the id that the extensions of an operation give its document, and Apollo's hash if it is one.
func named(extensions map[string]any) (id, hash string, err error) {
	if id, ok := extensions["documentId"].(string); ok {
		return strings.TrimPrefix(id, "sha256:"), "", nil
	}
	raw, ok := extensions["persistedQuery"]
	if !ok || raw == nil {
		return "", "", nil
	}
	persisted, _ := raw.(map[string]any)
	hash, ok = persisted["sha256Hash"].(string)
	if !ok || fmt.Sprint(persisted["version"]) != "1" {
		return "", "", invalid("extensions.persistedQuery", "persistedQuery takes version 1 and sha256Hash.")
	}
	return hash, hash, nil
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// Trust reads a file of trusted documents: a JSON object of texts by their ids, as the tools of clients write it. Each has
// to be a document that this service would carry out, and one whose id is a SHA-256 has to have that sum.
func Trust(schema *ast.Schema, introspection bool, file []byte) (*Documents, error) {
	trusted := Documents{text: map[string]bool{}}
	if err := json.Unmarshal(file, &trusted.byID); err != nil {
		return nil, fmt.Errorf("not a JSON object of documents by their ids: %w", err)
	}
	if len(trusted.byID) == 0 {
		return nil, errors.New("there is no document in it")
	}
	gate := New(schema, Options{Introspection: introspection})
	for id, text := range trusted.byID {
		if _, err := hex.DecodeString(id); err == nil && len(id) == 2*sha256.Size && id != sum(text) {
			return nil, fmt.Errorf("document %s has another SHA-256 than its id says", id)
		}
		if _, err := gate.read(text); err != nil {
			return nil, fmt.Errorf("document %s: %w", id, err)
		}
		trusted.text[text] = true
	}
	return &trusted, nil
}
