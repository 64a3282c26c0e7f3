package imaging

import (
	"time"

	"github.com/google/uuid"
)

// ImageRequest is the image somebody asked for: the aggregate that holds its versions. A lock on its row orders all
// that happens to it and to them.
type ImageRequest struct {
	ID          uuid.UUID  `bun:",pk" json:"-"`
	Name        string     `json:"name"`
	Icon        *string    `json:"icon"` // a relative path to a picture
	Description string     `json:"description"`
	Tags        []string   `bun:",array" json:"tags"`
	CreatedBy   string     `json:"createdBy"` // the owner's user name
	Visibility  Visibility `json:"visibility"`
	SharedWith  []string   `bun:",array" json:"sharedWith"` // user names; only with visibility USERS
	StartDate   time.Time  `json:"startDate"`
	EndDate     *time.Time `json:"endDate"` // when it was or will be retired

	// Revision counts the changes but for the reports of workers, so that a decision does not go stale while another
	// version is being imaged. Both together are the seq of the newest event.
	Revision int `json:"-"`
	Reports  int `json:"-"`

	// SharedSince is the seq of the newest event that changed who may see it: who reads no details is told of nothing before.
	SharedSince int `json:"-"`

	// What lists are filtered and ordered by, kept with the row by Settle: the newest version's, and the search text.
	Status     Status    `json:"-"`
	Instance   uuid.UUID `json:"-"`
	ProviderID int       `json:"-"`
	SearchText string    `json:"-"`

	// Versions are always loaded with the request, oldest first. There is at least one.
	Versions []*Version `bun:"rel:has-many,join:id=image_request_id" json:"-"`
}

// Node is what has an id of its own: an image request or a version.
type Node interface{ IsNode() }

// IsNode marks what node(id:) can answer.
func (*ImageRequest) IsNode() {}

// Newest is the version that was asked for last.
func (r *ImageRequest) Newest() *Version { return r.Versions[len(r.Versions)-1] }

// Provider is where the newest version is made.
func (r *ImageRequest) Provider() *Provider { return r.Newest().Provider }

// Software is the newest version's note.
func (r *ImageRequest) Software() string { return r.Newest().Software }

// Sys is the newest version's note; nil for who may not read it.
func (r *ImageRequest) Sys() *string { return r.Newest().Sys }

// Exclude is the newest version's note; nil for who may not read it.
func (r *ImageRequest) Exclude() *string { return r.Newest().Exclude }

// Version finds a version by id, nil if it is not one of the request's.
func (r *ImageRequest) Version(id uuid.UUID) *Version {
	for _, v := range r.Versions {
		if v.ID == id {
			return v
		}
	}
	return nil
}

// Copy is a copy of the request and its versions that can be redacted without a trace in r.
func (r *ImageRequest) Copy() *ImageRequest {
	c := *r
	c.Versions = make([]*Version, len(r.Versions))
	for i, v := range r.Versions {
		cv := *v
		cv.ImageRequest = &c
		c.Versions[i] = &cv
	}
	return &c
}

// Settle brings the derived columns up to date. Each change ends with it.
func (r *ImageRequest) Settle() {
	newest := r.Newest()
	r.Status, r.Instance, r.ProviderID = newest.Status, newest.Instance, newest.ProviderID
	for _, v := range r.Versions {
		v.Name, v.Visibility = r.Name, r.Visibility
	}
	r.SearchText = searchText(append([]string{r.Name, r.Description}, r.Tags...)...)
}
