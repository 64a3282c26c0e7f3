package db

import (
	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

// visible leaves in q only the rows of image_requests that the actor may see: imaging.Visible, said in SQL. Each query
// that reads image requests or versions goes through here; a property test holds the two forms together.
func visible(q *bun.SelectQuery, a imaging.Actor) *bun.SelectQuery {
	return visibleTo(q, kindOf(a), values(a))
}

// visibleTo is visible for every actor of a kind, with what it compares them by.
func visibleTo(q *bun.SelectQuery, kind actorKind, a asking) *bun.SelectQuery {
	if kind.staff {
		return q
	}
	return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		return concerned(q.Where("image_request.visibility = 'PUBLIC'"), kind, a)
	})
}

// privateTo is what somebody of a kind may see and not everybody, in parts that have nothing in common and are each found by an
// index: their own; and what is shared with them or theirs to work on. There is none for staff, for whom there is but one rule, and
// for who is not signed in.
func privateTo(kind actorKind, a asking) []rule {
	if kind.staff || !kind.signedIn {
		return nil
	}
	a.gathered = true
	own := func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("image_request.created_by = ?", a.username).Where("image_request.visibility IN ('PRIVATE', 'USERS')")
	}
	others := func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("image_request.created_by <> ?", a.username).Where("image_request.visibility <> 'PUBLIC'")
		return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery { return entrusted(q, kind, a) })
	}
	return []rule{own, others}
}

// visibleOf leaves in q what the actor may see of the requests of one visibility, and nothing else: less than the rule, said
// so that Postgres finds each alternative by an index.
func visibleOf(q *bun.SelectQuery, of imaging.Visibility, a imaging.Actor) *bun.SelectQuery {
	kind := kindOf(a)
	switch q = q.Where("image_request.visibility = ?", of); {
	case kind.staff || of == imaging.Public:
		return q
	case !kind.signedIn:
		return q.Where("FALSE")
	}
	asks := values(a)
	asks.gathered, asks.of = true, of
	return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery { return concerned(q, kind, asks) })
}

// concerned adds, as alternatives, why somebody sees what is not public.
func concerned(q *bun.SelectQuery, kind actorKind, a asking) *bun.SelectQuery {
	if !kind.signedIn {
		return q
	}
	return entrusted(q.WhereOr("image_request.created_by = ?", a.username), kind, a)
}

// entrusted adds, likewise, why somebody sees what is another's and not public.
func entrusted(q *bun.SelectQuery, kind actorKind, a asking) *bun.SelectQuery {
	q = q.WhereOr("image_request.visibility = 'USERS' AND image_request.shared_with @> ?", a.usernames)
	if !kind.worker {
		return q
	}
	work, end := "EXISTS (SELECT FROM versions w WHERE w.image_request_id = image_request.id AND ", ")"
	if a.gathered {
		work, end = "image_request.id = ANY (ARRAY (SELECT w.image_request_id FROM versions w WHERE ", "))"
	}
	work += "w.status IN ('APPROVED', 'IMAGING')"
	var args []any
	if a.of != "" {
		work, args = work+" AND w.visibility = ?", append(args, a.of)
	}
	if kind.confined {
		work, args = work+" AND w.provider_id = ANY (?)", append(args, a.providers)
	}
	return q.WhereOr(work+end, args...)
}
