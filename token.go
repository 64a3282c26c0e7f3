package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// operator is who works at the command line: whoever can read the database's address may do all.
var operator = imaging.Actor{Username: "operator", Roles: []imaging.Role{imaging.Admin}}

type tokenCmd struct {
	Create tokenCreate `cmd:"" help:"Make a token and print its secret, once."`
	List   tokenList   `cmd:"" help:"List all tokens, without their secrets."`
	Revoke tokenRevoke `cmd:"" help:"Make a token worthless from now on."`
}

type tokenCreate struct {
	database
	User     string        `help:"The user name that its bearer acts as." required:"" placeholder:"NAME"`
	Role     []string      `help:"What its bearer may do: requester, reviewer, worker or admin; by default ${default}. May be given again." default:"requester" placeholder:"ROLE"`
	Provider []int         `help:"Confine a reviewer or worker to this provider. May be given again." placeholder:"N"`
	ReadOnly bool          `help:"Its bearer may read as the user, and change nothing."`
	Expires  time.Duration `help:"How long it is good for, as 720h; without it, until it is revoked." placeholder:"DURATION"`
}

// Run makes the token. The secret goes to standard output alone, so that it can be kept by a script.
func (t tokenCreate) Run(ctx context.Context, c console) (err error) {
	if t.Expires < 0 {
		return errors.New("--expires lies in the past: give a duration such as 720h")
	}
	store, closer, err := t.open(ctx, c, c.log(t.Verbose), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	made := imaging.Token{Username: t.User, Providers: t.Provider, ReadOnly: t.ReadOnly}
	for _, role := range t.Role {
		made.Roles = append(made.Roles, imaging.Role(strings.ToUpper(role)))
	}
	if t.Expires != 0 {
		end := time.Now().Add(t.Expires)
		made.ExpiresAt = &end
	}
	secret, stored, err := store.CreateToken(ctx, operator, made)
	if err != nil {
		return plain(err)
	}
	_, err = fmt.Fprintln(c.out, secret)
	_, _ = fmt.Fprintf(c.err, "Token %s for %s. The line above is its secret: it cannot be shown again.\n", stored.ID, stored.Username)
	return err
}

type tokenList struct{ database }

// Run prints a table of the tokens.
func (t tokenList) Run(ctx context.Context, c console) (err error) {
	store, closer, err := t.open(ctx, c, c.log(t.Verbose), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	tokens, err := store.Tokens(ctx, operator)
	if err != nil {
		return plain(err)
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "ID\tUSER\tROLES\tPROVIDERS\tMAY\tMADE\tEXPIRES\tREVOKED\tUSED")
	for _, t := range tokens {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.Username, list(t.Roles), list(t.Providers), mayDo(t),
			date(&t.CreatedAt), date(t.ExpiresAt), date(t.RevokedAt), date(t.LastUsedAt))
	}
	return w.Flush()
}

type tokenRevoke struct {
	database
	ID string `arg:"" help:"The token's id, as token list shows it."`
}

// Run revokes the token.
func (t tokenRevoke) Run(ctx context.Context, c console) (err error) {
	id, err := uuid.Parse(t.ID)
	if err != nil {
		return fmt.Errorf("%q is not a token's id: token list shows them", t.ID)
	}
	store, closer, err := t.open(ctx, c, c.log(t.Verbose), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	revoked, err := store.RevokeToken(ctx, operator, id)
	if imaging.CodeOf(err) == imaging.NotFound {
		return fmt.Errorf("there is no token %s: token list shows them", id)
	}
	if err != nil {
		return plain(err)
	}
	_, err = fmt.Fprintf(c.out, "Token %s for %s is revoked.\n", revoked.ID, revoked.Username)
	return err
}

// plain words a refusal for a person at the command line.
func plain(err error) error {
	var texts []string
	for _, e := range imaging.All(err) {
		if e.Code == imaging.Internal || e.Code == imaging.Unavailable {
			return err
		}
		texts = append(texts, e.Field+": "+e.Message)
	}
	return errors.New(strings.Join(texts, " "))
}

func mayDo(t *imaging.Token) string {
	if t.ReadOnly {
		return "read"
	}
	return "write"
}

func list[T any](values []T) string {
	if len(values) == 0 {
		return "-"
	}
	return strings.ToLower(strings.Trim(strings.ReplaceAll(fmt.Sprint(values), " ", ","), "[]"))
}

func date(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}
