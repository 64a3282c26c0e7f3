package db

import (
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/imaging"
)

// visible leaves in q only the rows of image_requests that the actor may see: imaging.Visible, said in SQL. Each query
// that reads image requests or versions goes through here; a property test holds the two forms together.
func visible(q *bun.SelectQuery, a imaging.Actor) *bun.SelectQuery {
	if a.Staff() {
		return q
	}
	return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("image_request.visibility = 'PUBLIC'")
		if !a.SignedIn() {
			return q
		}
		q = q.WhereOr("image_request.created_by = ?", a.Username).
			WhereOr("image_request.visibility = 'USERS' AND image_request.shared_with @> ?", pgdialect.Array([]string{a.Username}))
		if !a.Has(imaging.Worker) {
			return q
		}
		work := "EXISTS (SELECT FROM versions w WHERE w.image_request_id = image_request.id AND w.status IN ('APPROVED', 'IMAGING')"
		if a.Providers == nil {
			return q.WhereOr(work + ")")
		}
		return q.WhereOr(work+" AND w.provider_id = ANY (?))", pgdialect.Array(a.Providers))
	})
}
