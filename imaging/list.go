package imaging

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Direction is a list's direction.
type Direction string

// The directions.
const (
	Asc  Direction = "ASC"
	Desc Direction = "DESC"
)

// OrderField is what lists can be ordered by.
type OrderField string

// The order fields. Versions have the name of their request.
const (
	ByStartDate OrderField = "START_DATE"
	ByName      OrderField = "NAME"
	ByStatus    OrderField = "STATUS"
	BySeq       OrderField = "SEQ"     // of the events of a request alone
	ByID        OrderField = "ID"      // of the stream of all events alone
	ByCreation  OrderField = "CREATED" // of tokens alone
)

// Order is the order of a list. What is equal in it follows by id, in the same direction.
type Order struct {
	Field     OrderField
	Direction Direction
}

// NewestFirst is the order of a list if none is asked for.
var NewestFirst = Order{Field: ByStartDate, Direction: Desc}

// Filter says which rows of a list are wanted: those that meet all of it. Nil fields want all, and an empty list of ids or
// statuses none. In a list of versions, owner, tags, visibility and search are those of the version's request, and the rest
// is its own.
type Filter struct {
	IDs           []uuid.UUID
	ImageRequest  *uuid.UUID // of versions alone
	Status        []Status
	CreatedBy     *string
	Provider      *int
	Tags          []string
	Visibility    *Visibility
	Instance      *uuid.UUID
	StartedFrom   *time.Time
	StartedBefore *time.Time
	EndsFrom      *time.Time
	EndsBefore    *time.Time
	Ended         *bool
	Search        *string
}

// Problems lists what is wrong with the filter: INVALID, by field.
func (f *Filter) Problems() Problems {
	var p Problems
	p.some("ids", len(f.IDs))
	p.some("status", len(f.Status))
	if p.some("tags", len(f.Tags)) {
		for i, tag := range f.Tags {
			p.text(fmt.Sprintf("tags.%d", i), tag, MaxTag)
		}
	}
	p.optional("createdBy", f.CreatedBy, MaxUsername)
	p.optional("search", f.Search, MaxSearch)
	p.moment("startedFrom", f.StartedFrom)
	p.moment("startedBefore", f.StartedBefore)
	p.moment("endsFrom", f.EndsFrom)
	p.moment("endsBefore", f.EndsBefore)
	return p
}

// EventFilter says which events are wanted; nil fields want all, and so does a nil filter.
type EventFilter struct {
	Action    []Action
	Status    []Status
	Provider  *int
	CreatedBy *string
}

// Problems lists what is wrong with the filter: INVALID, by field.
func (f *EventFilter) Problems() Problems {
	var p Problems
	if f != nil {
		p.some("action", len(f.Action))
		p.some("status", len(f.Status))
		p.optional("createdBy", f.CreatedBy, MaxUsername)
	}
	return p
}

// MayWant tells whether the event itself is wanted, whatever its request is.
func (f *EventFilter) MayWant(e *Event) bool {
	return f == nil || (f.Action == nil || slices.Contains(f.Action, e.Action)) &&
		(f.Status == nil || e.To != nil && slices.Contains(f.Status, *e.To))
}

// Wants tells whether the event is wanted, whose request is r now.
func (f *EventFilter) Wants(e *Event, r *ImageRequest) bool {
	if f == nil {
		return true
	}
	v := r.Newest()
	if e.VersionID != nil {
		v = r.Version(*e.VersionID)
	}
	return f.MayWant(e) && (f.Provider == nil || *f.Provider == v.ProviderID) && (f.CreatedBy == nil || *f.CreatedBy == r.CreatedBy)
}

// Slice says which part of a list is wanted: the first so many after a cursor, or the last so many before one.
type Slice struct {
	First  *int
	After  *string
	Last   *int
	Before *string
}

// Sizes of a page.
const (
	DefaultPage = 20
	MaxPage     = 100
)

// Size is how many are wanted, and whether from the end of the list. INVALID names first or last.
func (s Slice) Size() (n int, fromEnd bool, err error) {
	var p Problems
	n, field, asked := DefaultPage, "first", s.First
	if s.Last != nil {
		field, asked = "last", s.Last
	}
	if s.First != nil && s.Last != nil {
		p.add("last", "Give either first or last.")
	} else if asked != nil {
		if n = *asked; n < 1 || n > MaxPage {
			p.add(field, "Ensure this value is between 1 and %d.", MaxPage)
		}
	}
	return n, s.Last != nil, p.Err()
}

// some checks how many elements a list has; what is too long is not looked at any closer.
func (p *Problems) some(field string, n int) bool {
	if n > MaxIDs {
		p.add(field, "Ensure this field has no more than %d elements.", MaxIDs)
	}
	return n <= MaxIDs
}

func (p *Problems) optional(field string, s *string, most int) {
	if s != nil {
		p.text(field, *s, most)
	}
}
