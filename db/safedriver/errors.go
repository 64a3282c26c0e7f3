package safedriver

import (
	"database/sql/driver"
	"errors"
	"strings"
)

var (
	// ErrAborted comes from COMMIT when the transaction had failed before: the
	// server rolled it back and nothing is stored.
	ErrAborted = errors.New("safedriver: the transaction had failed, so COMMIT rolled it back")

	// ErrCommitUnknown comes from COMMIT when its answer was lost: the
	// transaction is stored entirely or not at all, and only a look at the data
	// (an idempotency key) can tell. The cause is in the chain.
	ErrCommitUnknown = errors.New("safedriver: the answer to COMMIT was lost")

	// ErrText is returned before anything is sent when a query or an argument is
	// not valid UTF-8 or holds a NUL: pgdriver would store another text.
	ErrText = errors.New("text is not valid UTF-8 or holds a NUL")

	// ErrBusy is returned, with nothing sent, when rows of an earlier query are
	// still open on the same connection or transaction.
	ErrBusy = errors.New("safedriver: rows of an earlier query are still open on this connection")

	// ErrTxState is returned when a statement opened or ended a transaction
	// behind the back of BeginTx, Commit and Rollback. The connection is closed.
	ErrTxState = errors.New("safedriver: transactions are opened with BeginTx and ended with Commit or Rollback only")

	// ErrMore is returned when the server says something behind the answer to a
	// statement within a transaction, as when it is about to die: nobody could tell
	// what is answered next. The connection is closed, nothing of the transaction is stored.
	ErrMore = errors.New("safedriver: the server said more than it was asked for")
)

// SQLState is the five-letter code of the server's error in err's chain, "" if
// the error is not the server's.
func SQLState(err error) string { return field(err, 'C') }

// Constraint is the name of the constraint that err says was violated, "" if none.
func Constraint(err error) string { return field(err, 'n') }

func field(err error, k byte) string {
	var said said
	if !errors.As(err, &said) {
		return ""
	}
	return said.Field(k)
}

// said is an error of the server, by the letters of its protocol: pgdriver's or a refusal.
type said interface {
	error
	Field(k byte) string
}

// refusal is an error that Read met.
type refusal map[byte]string

func refusalOf(body string) refusal {
	r := refusal{}
	for field := range strings.SplitSeq(body, "\x00") {
		if field != "" {
			r[field[0]] = field[1:]
		}
	}
	return r
}

func (r refusal) Field(k byte) string { return r[k] }

func (r refusal) Error() string { return r['S'] + ": " + r['M'] + " (SQLSTATE=" + r['C'] + ")" }

// inSync reports whether err leaves the connection between two messages: the
// server refused something and goes on listening.
func inSync(err error) bool {
	v := field(err, 'V')
	return v != "" && v != "FATAL" && v != "PANIC"
}

// checkText refuses what would arrive as another text than was meant.
func checkText(query string, args []driver.NamedValue) error {
	if !cleanText(query) {
		return ErrText
	}
	for _, a := range args {
		if s, ok := a.Value.(string); ok && !cleanText(s) {
			return ErrText
		}
	}
	return nil
}
