// Package limits decides which operations are carried out. It refuses what no client of ours needs to send, before it costs
// anything: a document is measured before it is parsed, counted before it is validated, and priced before it is executed.
// It hangs in the executor, so that every transport has it.
package limits

import (
	"context"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"imagerequests/imaging"
)

// The limits, with room for every client we know. docs/limits.md tells why each is what it is.
const (
	MaxDocument   = 32 << 10 // bytes
	MaxTokens     = 1000     // comments count
	MaxNesting    = 32       // brackets of any kind, open at once
	MaxName       = 128      // bytes of one name
	MaxDirectives = 50
	MaxFragments  = 50
	MaxAliases    = 30
	MaxRepeats    = 20 // of one field, or one fragment, in one selection
	MaxRootFields = 20
	MaxDepth      = 12 // levels of fields, with the fragments in their places
	MaxCost       = 10_000

	MaxValues      = 20_000 // in the variables, all lists and objects counted through
	MaxValuesDepth = 16

	MaxErrors  = 10  // of one document, or in its variables
	MaxAnswer  = 100 // errors in one answer: a form may have as many fields that are wrong
	MaxMessage = 250 // bytes of an error's message
)

// Options are what a Gate needs to know.
type Options struct {
	// Spend takes points from the caller's budget and tells how many are left; -1 if the caller has no limit. LIMITED, with
	// the time to wait, if they are not there.
	Spend func(ctx context.Context, points int) (left int, err error)
	// Least is what an operation takes at least, also one that is refused.
	Least int
	// Introspection lets clients ask for the schema.
	Introspection bool
	// Trusted are the only documents that are carried out; nil: any may be.
	Trusted *Documents
}

// Gate is the way of every operation to the executor. It leaves in the parameters the document's text and the variables as
// the specification coerces them, and in its cache the document as parsed and validated.
type Gate struct {
	Options
	schema    *ast.Schema
	prices    map[*ast.FieldDefinition]int
	documents *cache[*ast.QueryDocument] // by text
	persisted *cache[string]             // texts by hash
}

var (
	_ graphql.HandlerExtension          = (*Gate)(nil)
	_ graphql.OperationParameterMutator = (*Gate)(nil)
	_ graphql.ResponseInterceptor       = (*Gate)(nil)
)

// New makes the gate to a schema.
func New(schema *ast.Schema, o Options) *Gate {
	return &Gate{Options: o, schema: schema, prices: pricesOf(schema), documents: newCache(cachedDocuments, cachedBytes, footprint), persisted: newCache(persistedTexts, persistedBytes, textSize)}
}

// ExtensionName names it.
func (*Gate) ExtensionName() string { return "Limits" }

// Validate has nothing to check.
func (*Gate) Validate(graphql.ExecutableSchema) error { return nil }

// Documents is the cache that the executor takes from what the gate has let through.
func (g *Gate) Documents() graphql.Cache[*ast.QueryDocument] { return g.documents }

// MutateOperationParameters lets an operation through or refuses it: with GRAPHQL_PARSE_FAILED or GRAPHQL_VALIDATION_FAILED
// a document that is no good, with INVALID variables that do not fit, with LIMITED what is too much or too often.
func (g *Gate) MutateOperationParameters(ctx context.Context, p *graphql.RawParams) *gqlerror.Error {
	bill := &Bill{}
	graphql.GetOperationContext(ctx).Stats.SetExtension(billed, bill)
	err := g.admit(ctx, p, bill)
	if shown, ok := err.(*gqlerror.Error); ok || err == nil { //nolint:errorlint // a list of them is wrapped, too
		return shown
	}
	return gqlerror.Wrap(err) // errors of imaging, or a gqlerror.List
}

func (g *Gate) admit(ctx context.Context, p *graphql.RawParams, bill *Bill) error {
	if err := g.charge(ctx, bill, g.Least); err != nil {
		return err
	}
	hash, err := g.find(ctx, p)
	if err != nil {
		return err
	}
	document, err := g.document(ctx, p.Query)
	if err != nil {
		return err
	}
	if hash != "" && g.Trusted == nil {
		g.persisted.Add(ctx, strings.Clone(hash), p.Query) // of a whole body
	}
	operation := document.Operations.ForName(p.OperationName)
	if operation == nil {
		return invalid("operationName", "The document has no operation of this name, or several and none was named.")
	}
	if err := bounded(p.Variables); err != nil {
		return err
	}
	if p.Variables, err = coerce(g.schema, operation, p.Variables); err != nil {
		return err
	}
	cost, err := g.price(operation, p.Variables)
	if err != nil {
		return err
	}
	return g.charge(ctx, bill, cost-bill.Requested)
}

// Bill is what an operation took from the caller's budget, as answers tell it in extensions.cost.
type Bill struct {
	Requested int  `json:"requested"`
	Remaining *int `json:"remaining"` // null for who has no limit
}

const billed = "cost"

// AppendJSON writes it as encoding/json would.
func (b *Bill) AppendJSON(to []byte) []byte {
	to = strconv.AppendInt(append(to, `{"requested":`...), int64(b.Requested), 10)
	to = append(to, `,"remaining":`...)
	if b.Remaining == nil {
		return append(to, "null}"...)
	}
	return append(strconv.AppendInt(to, int64(*b.Remaining), 10), '}')
}

// charge takes so many more points. The bill names them also if they are not there.
func (g *Gate) charge(ctx context.Context, b *Bill, points int) error {
	if points <= 0 {
		return nil
	}
	b.Requested += points
	left, err := g.Spend(ctx, points)
	if left >= 0 {
		b.Remaining = &left
	}
	return err
}

// InterceptResponse adds the bill to each answer, and bounds its errors.
func (*Gate) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	if graphql.HasOperationContext(ctx) {
		if bill, ok := graphql.GetOperationContext(ctx).Stats.GetExtension(billed).(*Bill); ok {
			graphql.RegisterExtension(ctx, billed, bill)
		}
	}
	response := next(ctx)
	if response != nil && len(response.Errors) > MaxAnswer {
		response.Errors = response.Errors[:MaxAnswer]
	}
	return response
}

// Short cuts a text that may hold what the client sent, so that an answer is small whatever it was.
func Short(text string) string {
	if len(text) <= MaxMessage {
		return text
	}
	cut := MaxMessage
	for cut > 0 && text[cut]&0xC0 == 0x80 { // within a character
		cut--
	}
	return text[:cut] + "…"
}

func limited(format string, args ...any) error {
	return imaging.Errorf(imaging.Limited, format, args...)
}

func invalid(field, message string) error {
	return &imaging.Error{Code: imaging.Invalid, Field: field, Message: message}
}
