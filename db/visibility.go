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
		q = q.Where("image_request.visibility = 'PUBLIC'")
		if !kind.signedIn {
			return q
		}
		q = q.WhereOr("image_request.created_by = ?", a.username).
			WhereOr("image_request.visibility = 'USERS' AND image_request.shared_with @> ?", a.usernames)
		if !kind.worker {
			return q
		}
		work := "EXISTS (SELECT FROM versions w WHERE w.image_request_id = image_request.id AND w.status IN ('APPROVED', 'IMAGING')"
		if !kind.confined {
			return q.WhereOr(work + ")")
		}
		return q.WhereOr(work+" AND w.provider_id = ANY (?))", a.providers)
	})
}
