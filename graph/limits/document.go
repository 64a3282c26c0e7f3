package limits

import (
	"context"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// document is the text parsed, counted and validated. It is done once for each text, as long as it is remembered.
func (g *Gate) document(ctx context.Context, text string) (*ast.QueryDocument, error) {
	if known, ok := g.documents.Get(ctx, text); ok {
		return known, nil
	}
	document, err := g.read(text)
	if err != nil {
		return nil, err
	}
	g.documents.Add(ctx, text, document)
	return document, nil
}

func (g *Gate) read(text string) (*ast.QueryDocument, error) {
	if _, err := scan(text); err != nil {
		return nil, err
	}
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, MaxTokens)
	if err != nil {
		errcode.Set(err, errcode.ParseFailed)
		return nil, err
	}
	if len(document.Operations) == 0 {
		return nil, refused("The document has no operation.")
	}
	if err := count(document); err != nil {
		return nil, err
	}
	if list := validator.ValidateWithRules(g.schema, document, g.Rules()); len(list) > 0 {
		for _, e := range list {
			errcode.Set(e, errcode.ValidationFailed)
		}
		return nil, list
	}
	return document, nil
}

func refused(message string) error {
	e := gqlerror.Errorf("%s", message)
	errcode.Set(e, errcode.ValidationFailed)
	return e
}

// scan counts the text's tokens, and measures it before the parser sees it, which goes down one call for each bracket.
func scan(text string) (tokens int, err error) {
	if len(text) > MaxDocument {
		return 0, limited("The document has %d bytes, the limit is %d.", len(text), MaxDocument)
	}
	lex := lexer.New(&ast.Source{Input: text})
	for nesting, directives := 0, 0; ; tokens++ {
		token, err := lex.ReadToken()
		switch {
		case err != nil, token.Kind == lexer.EOF:
			return tokens, nil //nolint:nilerr // the parser tells it, with its place
		case tokens == MaxTokens:
			return 0, limited("The document has more than %d words, signs and comments.", MaxTokens)
		case token.Kind == lexer.BraceL, token.Kind == lexer.BracketL, token.Kind == lexer.ParenL:
			nesting++
		case token.Kind == lexer.BraceR, token.Kind == lexer.BracketR, token.Kind == lexer.ParenR:
			nesting--
		case token.Kind == lexer.At:
			directives++
		case token.Kind == lexer.Name && len(token.Value) > MaxName:
			return 0, limited("A name in the document has %d bytes, the limit is %d.", len(token.Value), MaxName)
		}
		if nesting > MaxNesting {
			return 0, limited("The document opens more than %d brackets within each other.", MaxNesting)
		}
		if directives > MaxDirectives {
			return 0, limited("The document has more than %d directives.", MaxDirectives)
		}
	}
}

// count refuses documents that would be dear to validate: two fields of one name are compared with all that is below them.
func count(document *ast.QueryDocument) error {
	if n := len(document.Fragments); n > MaxFragments {
		return limited("The document has %d fragments, the limit is %d.", n, MaxFragments)
	}
	var c counter
	for _, o := range document.Operations {
		c.set(o.SelectionSet, map[string]int{})
	}
	for _, f := range document.Fragments {
		c.set(f.SelectionSet, map[string]int{})
	}
	switch {
	case c.aliases > MaxAliases:
		return limited("The document has %d aliases, the limit is %d.", c.aliases, MaxAliases)
	case c.repeats > MaxRepeats:
		return limited("A field is repeated %d times, the limit is %d.", c.repeats, MaxRepeats)
	}
	return nil
}

type counter struct{ aliases, repeats int }

// set counts a selection; inline fragments share the names of the selection that they stand in.
func (c *counter) set(selections ast.SelectionSet, names map[string]int) {
	for _, selection := range selections {
		name := ""
		switch selection := selection.(type) {
		case *ast.Field:
			name = selection.Alias
			if selection.Alias != selection.Name {
				c.aliases++
			}
			if len(selection.SelectionSet) > 0 {
				c.set(selection.SelectionSet, map[string]int{})
			}
		case *ast.FragmentSpread:
			name = "..." + selection.Name
		case *ast.InlineFragment:
			c.set(selection.SelectionSet, names)
			continue
		}
		names[name]++
		c.repeats = max(c.repeats, names[name])
	}
}

// Rules are those of the specification, without suggestions, which would tell the schema to who guesses, and take time; and
// with no more than MaxErrors errors. A set serves one document.
func (g *Gate) Rules() *rules.Rules {
	left := MaxErrors
	all := rules.NewRules()
	for name, rule := range g.specified().GetInner() {
		all.AddRule(name, func(observers *core.Events, add core.AddErrFunc) {
			rule(observers, func(options ...core.ErrorOption) {
				if left--; left >= 0 {
					add(options...)
				}
			})
		})
	}
	return all
}

func (g *Gate) specified() *rules.Rules {
	all := rules.NewDefaultRules()
	for name, silent := range map[string]core.Rule{
		rules.FieldsOnCorrectTypeRule.Name: rules.FieldsOnCorrectTypeRuleWithoutSuggestions,
		rules.ScalarLeafsRule.Name:         rules.ScalarLeafsRuleWithoutSuggestions,
		rules.KnownArgumentNamesRule.Name:  rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRule.Name:      rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRule.Name: rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		all.RemoveRule(name)
		all.AddRule(silent.Name, silent.RuleFunc)
	}
	all.AddRule("NumbersFit", numbersFit)
	if !g.Introspection {
		all.AddRule("NoIntrospection", noIntrospection)
	}
	return all
}

// numbersFit refuses numbers of more than 64 bits where the specified rules do not look, in scalars of our own: executing such
// a document panics.
func numbersFit(observers *core.Events, add core.AddErrFunc) {
	observers.OnValue(func(_ *core.Walker, value *ast.Value) {
		if value.Kind != ast.IntValue && value.Kind != ast.FloatValue {
			return
		}
		if _, err := value.Value(nil); err != nil {
			add(core.Message("This number is beyond all measure."), core.At(value.Position))
		}
	})
}

func noIntrospection(observers *core.Events, add core.AddErrFunc) {
	observers.OnField(func(_ *core.Walker, field *ast.Field) {
		if field.Name == "__schema" || field.Name == "__type" {
			add(core.Message("This service does not answer %s.", field.Name), core.At(field.Position))
		}
	})
}
