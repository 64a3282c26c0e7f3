package imaging

import "slices"

// Role is what a signed-in user may do besides asking for images.
type Role string

// The roles. An admin may do all that the others may.
const (
	Requester Role = "REQUESTER"
	Reviewer  Role = "REVIEWER"
	Worker    Role = "WORKER"
	Admin     Role = "ADMIN"
)

// Roles lists them all.
var Roles = []Role{Requester, Reviewer, Worker, Admin}

// Valid tells whether r is a role.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Actor is who asks. The zero Actor is somebody who has not signed in.
type Actor struct {
	Username  string
	Roles     []Role
	Providers []int // what the roles of reviewer and worker are confined to; nil: not confined
	ReadOnly  bool  // came with a token that may change nothing, whatever the roles say
}

// SignedIn tells whether the caller is known.
func (a Actor) SignedIn() bool { return a.Username != "" }

// MayWrite is whether the caller may change anything at all, wherever their rights end otherwise. It comes before all other
// questions, so that who may only read learns nothing by trying to write. UNAUTHENTICATED, FORBIDDEN.
func (a Actor) MayWrite() error {
	switch {
	case a.ReadOnly:
		return Errorf(Forbidden, "This token may only read.")
	case !a.SignedIn() && !a.isService():
		return ErrUnauthenticated()
	}
	return nil
}

// Has tells whether the caller has the role; an admin has each.
func (a Actor) Has(r Role) bool {
	return slices.Contains(a.Roles, r) || a.IsAdmin()
}

// IsAdmin tells whether the caller keeps providers and tokens, and may edit what others own.
func (a Actor) IsAdmin() bool { return slices.Contains(a.Roles, Admin) }

// Staff tells whether the caller decides on other people's requests: a reviewer or an admin.
func (a Actor) Staff() bool { return a.Has(Reviewer) || a.isService() }

// On tells whether the caller's roles of reviewer and worker reach the provider.
func (a Actor) On(provider int) bool {
	return a.Providers == nil || a.IsAdmin() || slices.Contains(a.Providers, provider)
}

// WorksOn tells whether the caller is a worker of the provider.
func (a Actor) WorksOn(provider int) bool { return a.Has(Worker) && a.On(provider) }

// MayEdit tells whether the caller may change the request: its owner and admins.
func (a Actor) MayEdit(r *ImageRequest) bool {
	return a.SignedIn() && (a.Username == r.CreatedBy || a.IsAdmin())
}

// serviceRole is nobody's but the service's own: no token can have it.
const serviceRole Role = "SERVICE"

// Service is the service itself, for what it does by the clock.
func Service() Actor { return Actor{Roles: []Role{serviceRole}} }

func (a Actor) isService() bool { return slices.Contains(a.Roles, serviceRole) }
