package imaging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Action names what happened in an Event.
type Action string

// The actions.
const (
	Requested        Action = "REQUESTED"         // an image request was made, with its first version
	VersionRequested Action = "VERSION_REQUESTED" // a version was added to it
	Edited           Action = "EDITED"            // its presentation, visibility or end was changed
	AutoApproved     Action = "AUTO_APPROVED"     // the provider approved by itself
	ProviderSaved    Action = "PROVIDER_SAVED"
	TokenCreated     Action = "TOKEN_CREATED"
	TokenRevoked     Action = "TOKEN_REVOKED"
)

// Event is one record of what happened, written in the transaction that changes the state and never changed itself.
// Events of image requests are numbered by Seq without a gap; those of providers and tokens have no request.
type Event struct {
	ID             int64      `bun:",pk,autoincrement"`
	ImageRequestID *uuid.UUID `bun:"image_request_id"`
	VersionID      *uuid.UUID
	Seq            *int
	At             time.Time
	Actor          string // the user name, "" for the service itself
	Action         Action
	From           *Status `bun:"from_status"` // the version's status before, if the event moved it
	To             *Status `bun:"to_status"`
	Changes        Changes `bun:"type:jsonb"`
}

// Changes are the fields that an event changed, each with what it was and what it is.
type Changes map[string]Change

// Change is one field's old and new value as JSON; From is null where the field came into being.
type Change struct {
	From json.RawMessage `json:"from"`
	To   json.RawMessage `json:"to"`
}

// Diff lists the fields that differ between two states of the same thing; before is nil for a new one. Fields without a
// JSON name, secrets and derived columns, are left out.
func Diff[T any](before, after *T) (Changes, error) {
	old, err := fields(before)
	if err != nil {
		return nil, err
	}
	now, err := fields(after)
	if err != nil {
		return nil, err
	}
	changes := Changes{}
	for name, to := range now {
		if from, ok := old[name]; !ok || !bytes.Equal(from, to) {
			changes[name] = Change{From: from, To: to}
		}
	}
	return changes, nil
}

func fields[T any](v *T) (map[string]json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("note a change: %w", err)
	}
	m := map[string]json.RawMessage{}
	return m, json.Unmarshal(text, &m)
}

// merge puts the changes of a version beside those of its request, each under "version.".
func (c Changes) merge(version Changes) {
	for name, change := range version {
		c["version."+name] = change
	}
}
