package imaging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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
	Transferred      Action = "TRANSFERRED"       // it has another owner
	VersionEdited    Action = "VERSION_EDITED"    // what a version is to be made of, or its end, was changed
	AutoApproved     Action = "AUTO_APPROVED"     // the provider approved by itself
	Approve          Action = "APPROVED"
	Deny             Action = "DENIED"
	Question         Action = "QUESTIONED"
	Answer           Action = "ANSWERED"
	Resubmit         Action = "RESUBMITTED"
	Cancel           Action = "CANCELLED"
	AskStop          Action = "CANCEL_REQUESTED" // the worker is to stop
	Retry            Action = "RETRIED"
	Claim            Action = "CLAIMED" // a worker has begun
	Report           Action = "PROGRESSED"
	Complete         Action = "COMPLETED"
	Fail             Action = "FAILED"
	Obey             Action = "STOPPED"       // the worker has stopped, as it was asked to
	Release          Action = "RELEASED"      // the worker gave it back undone
	Abandon          Action = "ABANDONED"     // its lease ran out, and it had been asked to stop
	Expire           Action = "LEASE_EXPIRED" // back to the queue
	GiveUp           Action = "GAVE_UP"       // its lease ran out for the last time
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
	From           *Status `bun:"from_status"` // the version's status before, nil for a new one
	To             *Status `bun:"to_status"`
	Message        *string // what the actor said
	Changes        Changes `bun:"type:jsonb"`

	// Set when it is shown.
	Cursor       string        `bun:"-"` // marks its place among all events
	ImageRequest *ImageRequest `bun:"-"`
}

// Show is a copy of the event as the actor may read it, who sees its request r. What is for the owner and staff is taken
// out for all others, and what is for staff alone for the owner, too.
func (e *Event) Show(a Actor, r *ImageRequest) *Event {
	shown := *e
	shown.ImageRequest = r
	switch {
	case !SeesDetails(a, r):
		shown.Actor, shown.Message, shown.Changes = "", nil, nil
	case !a.Staff():
		shown.Changes = maps.Clone(e.Changes)
		delete(shown.Changes, "version.failureDetail")
	}
	return &shown
}

// Version is the one it concerned, nil if none.
func (e *Event) Version() *Version {
	if e.VersionID == nil {
		return nil
	}
	return e.ImageRequest.Version(*e.VersionID)
}

// By is the user who did it, nil for the service itself and for who may not read it.
func (e *Event) By() *string { return optional(e.Actor) }

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
