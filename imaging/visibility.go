package imaging

import "slices"

// Visibility says who may see an image request besides its owner and staff.
type Visibility string

// The visibilities.
const (
	Public  Visibility = "PUBLIC"  // everyone, signed in or not
	Private Visibility = "PRIVATE" // the owner alone
	Users   Visibility = "USERS"   // the owner and the users it is shared with
)

// Visibilities lists them all.
var Visibilities = []Visibility{Public, Private, Users}

// Valid tells whether v is a visibility.
func (v Visibility) Valid() bool { return slices.Contains(Visibilities, v) }

// Visible tells whether the actor may see the request. It is the rule of db's visibility.go, said in Go; a property
// test holds the two together.
func Visible(a Actor, r *ImageRequest) bool {
	if r.Visibility == Public || SeesDetails(a, r) || slices.ContainsFunc(r.Versions, a.images) {
		return true
	}
	return r.Visibility == Users && a.SignedIn() && slices.Contains(r.SharedWith, a.Username)
}

// Told tells whether the actor is told of the event of a request that is r now. Who reads no details is told of what has
// happened since the request was last shared otherwise: what it was before was not for them to see.
func Told(a Actor, r *ImageRequest, e *Event) bool {
	return SeesDetails(a, r) || Visible(a, r) && *e.Seq >= r.SharedSince
}

// SeesDetails tells whether the actor may read what only the owner and staff may: the notes to the reviewer, addresses,
// decisions, failures, what happened, and with whom the request is shared.
func SeesDetails(a Actor, r *ImageRequest) bool {
	return a.SignedIn() && a.Username == r.CreatedBy || a.Staff()
}

// images tells whether the version is the actor's to image, now. A worker is staff to it alone, not to its request.
func (a Actor) images(v *Version) bool { return v.Status.InWork() && a.WorksOn(v.ProviderID) }

// Redact takes out of r what the actor may not read. Everything that leaves the store has gone through it.
func Redact(a Actor, r *ImageRequest) {
	if a.Staff() {
		return
	}
	details := SeesDetails(a, r)
	if !details {
		r.SharedWith = nil
	}
	for _, v := range r.Versions {
		switch {
		case a.images(v):
		case details:
			v.FailureDetail = nil // the insides of a failure are not even for the owner
		default:
			v.redact()
		}
	}
}
