package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// constraints say, for each constraint that a caller can meet, what they did. The rules of imaging come first; these are
// what only the database can see, because two callers came at once.
var constraints = map[string]imaging.Error{
	"versions_one_open_per_instance": {Code: imaging.Conflict, Field: "instance", Message: "This instance already has an open request."},
	"versions_label_is_unique":       {Code: imaging.Conflict, Field: "version", Message: "This image request already has a version of that label."},
	"versions_alias_is_unique":       {Code: imaging.Conflict, Field: "alias", Message: "The provider's image belongs to another version already."},
	"providers_name_key":             {Code: imaging.Conflict, Field: "name", Message: "Another provider has this name."},
}

// translate turns what the database said into an error of ours. It decides by SQLSTATE and constraint, never by words.
func (s *Store) translate(err error) error {
	if err == nil {
		return nil
	}
	var problems imaging.Problems
	var known *imaging.Error
	switch {
	case errors.As(err, &problems), errors.As(err, &known):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return imaging.ErrNotFound().Because(err)
	}
	if e, ok := constraints[safedriver.Constraint(err)]; ok {
		return e.Because(err)
	}
	switch state := safedriver.SQLState(err); {
	case state == "":
		if away(err) {
			return unavailable(err)
		}
	case state == "40001", state == "40P01", state == "55P03", state == "57014",
		strings.HasPrefix(state, "53"), strings.HasPrefix(state, "57P0"), strings.HasPrefix(state, "08"):
		return unavailable(err)
	case strings.HasPrefix(state, "22"), state == "23502", state == "23503", state == "23514", state == "23505":
		s.log.Error("the database refused what validation let through", "error", err)
		return imaging.Errorf(imaging.Invalid, "The database does not take this input.").Because(err)
	}
	return imaging.Errorf(imaging.Internal, "Something went wrong on our side.").Because(err)
}

// lost are the errors that mean that the database cannot be reached, or not in time. ErrTxDone is among them: it comes
// from a transaction whose caller went away.
var lost = []error{
	context.Canceled, context.DeadlineExceeded, os.ErrDeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone,
	io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, safedriver.ErrCommitUnknown, safedriver.ErrMore,
}

// away tells whether the error is one of them, or the network's.
func away(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || slices.ContainsFunc(lost, func(l error) bool { return errors.Is(err, l) })
}

func unavailable(cause error) error {
	e := imaging.Errorf(imaging.Unavailable, "The database is not to be reached just now. Try again.").Because(cause)
	e.RetryAfter = time.Second
	return e
}
