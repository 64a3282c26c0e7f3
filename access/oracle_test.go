package access_test

import (
	"slices"
	"strings"
)

// This is what docs/access.md and docs/life.md say of who may do and see what, said once more in plain Go, as somebody would
// who has read nothing else. It has nothing in common with what it judges.

// actor is somebody who knocks, with a token or without.
type actor struct {
	name      string
	username  string
	roles     []string
	providers []int  // nil: all
	token     string // what is the matter with it: "" nothing, or "none", "bad", "expired", "revoked", "read only"
}

// actors are all kinds of them. Bad tokens are an admin's: who may nothing with them might have done everything.
var actors = []actor{
	{name: "anonymous", token: "none"},
	{name: "bad token", token: "bad"},
	{name: "expired token", username: "admin", roles: []string{"ADMIN"}, token: "expired"},
	{name: "revoked token", username: "admin", roles: []string{"ADMIN"}, token: "revoked"},
	{name: "read-only token", username: "owner", roles: []string{"REQUESTER"}, token: "read only"},
	{name: "stranger", username: "stranger", roles: []string{"REQUESTER"}},
	{name: "owner", username: "owner", roles: []string{"REQUESTER"}},
	{name: "listed", username: "listed", roles: []string{"REQUESTER"}},
	{name: "formerly listed", username: "former", roles: []string{"REQUESTER"}},
	{name: "reviewer", username: "reviewer", roles: []string{"REVIEWER"}},
	{name: "reviewer of 2", username: "reviewer2", roles: []string{"REVIEWER"}, providers: []int{2}},
	{name: "owner who reviews", username: "owner", roles: []string{"REQUESTER", "REVIEWER"}},
	{name: "worker", username: "worker", roles: []string{"WORKER"}, providers: []int{1}},
	{name: "worker of 2", username: "worker2", roles: []string{"WORKER"}, providers: []int{2}},
	{name: "worker of all", username: "workers", roles: []string{"WORKER"}},
	{name: "admin", username: "admin", roles: []string{"ADMIN"}},
}

// row is an image request of the user owner with one version on provider 1, in one of all states.
type row struct {
	visibility string // USERS is with the user listed, and was with the user former
	status     string
	state      string // "", or "retired", "to be retired" (the request), "ended" (its COMPLETED version)
}

var statuses = []string{"PENDING", "NEEDS_INFO", "DENIED", "CANCELLED", "APPROVED", "IMAGING", "COMPLETED", "FAILED"}

// rows are all that there are.
func rows() (all []row) {
	for _, v := range []string{"PUBLIC", "PRIVATE", "USERS"} {
		for _, s := range statuses {
			all = append(all, row{v, s, ""})
		}
		all = append(all, row{v, "COMPLETED", "retired"}, row{v, "PENDING", "retired"}, row{v, "COMPLETED", "to be retired"}, row{v, "COMPLETED", "ended"})
	}
	return all
}

func (r row) String() string { return strings.TrimSpace(r.visibility + " " + r.status + " " + r.state) }

func (r row) open() bool {
	return slices.Contains([]string{"PENDING", "NEEDS_INFO", "APPROVED", "IMAGING"}, r.status)
}

// Who they are.

func (a actor) refused() bool { return slices.Contains([]string{"bad", "expired", "revoked"}, a.token) }
func (a actor) signedIn() bool {
	return a.token == "" || a.token == "read only"
}
func (a actor) is(role string) bool {
	return a.signedIn() && (slices.Contains(a.roles, role) || slices.Contains(a.roles, "ADMIN"))
}
func (a actor) on(provider int) bool {
	return a.providers == nil || slices.Contains(a.providers, provider)
}
func (a actor) owns() bool { return a.signedIn() && a.username == "owner" }

// images: workers see a request while one of its versions is APPROVED or IMAGING on a provider of theirs.
func (a actor) images(r row) bool {
	return a.is("WORKER") && a.on(1) && (r.status == "APPROVED" || r.status == "IMAGING")
}

// sees tells whether the request exists for them.
func (a actor) sees(r row) bool {
	switch {
	case r.visibility == "PUBLIC", a.details(), a.images(r):
		return true
	case r.visibility == "USERS":
		return a.signedIn() && a.username == "listed"
	}
	return false
}

// details tells whether they are the owner or staff, who read everything of a request.
func (a actor) details() bool { return a.owns() || a.is("REVIEWER") }

// secrets are the fields of the request that they read: those that are for the owner and staff, and for workers of the
// version that is theirs.
func (a actor) secrets(r row) []string {
	var all []string
	if a.details() {
		all = append(all, "sharedWith", "events", "history")
	}
	if a.is("REVIEWER") { // the insides of a failure are for staff alone, in events, too
		all = append(all, "events.failureDetail")
	}
	if a.details() || a.images(r) {
		all = append(all, "sys", "exclude", "version.sys", "version.exclude", "version.excludePaths", "version.ipAddress", "version.decision",
			"version.question", "version.progress.excluded")
		if r.status == "FAILED" || r.status == "CANCELLED" {
			all = append(all, "version.failure")
			if a.is("REVIEWER") || a.images(r) {
				all = append(all, "version.failure.detail")
			}
		}
	}
	slices.Sort(all)
	return all
}

// told are the numbers of the events of a request that they are told of. The second one is when it was last shared otherwise:
// who reads no details is told of nothing before.
func (a actor) told(r row) []int {
	switch {
	case a.details():
		return []int{1, 2}
	case a.sees(r):
		return []int{2}
	}
	return nil
}

// life is the table of docs/life.md: from where a mutation leads a version where, and who may.
var life = map[string]struct {
	from []string
	to   string // "": where it was
	who  string
}{
	"approveVersion":        {[]string{"PENDING"}, "APPROVED", "decides"},
	"denyVersion":           {[]string{"PENDING"}, "DENIED", "decides"},
	"questionVersion":       {[]string{"PENDING"}, "NEEDS_INFO", "decides"},
	"answerQuestion":        {[]string{"NEEDS_INFO"}, "PENDING", "owner"},
	"editVersion":           {[]string{"PENDING", "NEEDS_INFO"}, "PENDING", "owner"},
	"editVersion changeLog": {statuses, "", "owner"},
	"editVersion endDate":   {[]string{"COMPLETED"}, "", "owner"},
	"cancelVersion":         {[]string{"PENDING", "NEEDS_INFO", "APPROVED", "IMAGING"}, "CANCELLED", "owner"},
	"resubmitVersion":       {[]string{"DENIED"}, "PENDING", "owner"},
	"retryVersion":          {[]string{"FAILED"}, "APPROVED", "reviewer"},
	"reportVersion":         {[]string{"IMAGING"}, "", "worker"},
	"completeVersion":       {[]string{"IMAGING"}, "COMPLETED", "worker"},
	"failVersion":           {[]string{"IMAGING"}, "FAILED", "worker"},
	"releaseVersion":        {[]string{"IMAGING"}, "APPROVED", "worker"},
	"editImageRequest":      {statuses, "", "owner"},
	"transferImageRequest":  {statuses, "", "owner"},
	"requestVersion":        {statuses, "", "owner"},
}

func (a actor) may(who string) bool {
	switch who {
	case "decides": // never on their own
		return a.is("REVIEWER") && a.on(1) && !a.owns()
	case "reviewer":
		return a.is("REVIEWER") && a.on(1)
	case "worker": // who shows the lease
		return a.is("WORKER") && a.on(1)
	default:
		return a.owns() || a.is("ADMIN")
	}
}

// change is what becomes of a mutation of what stands: "done" and the status that the version has then, or the refusal.
func (a actor) change(mutation string, r row) (outcome, status string) {
	m := life[mutation]
	if mutation == "claimVersion" {
		return a.claim(r)
	}
	switch {
	case a.refused():
		return "401", ""
	case !a.signedIn():
		return "UNAUTHENTICATED", ""
	case a.token == "read only":
		return "FORBIDDEN", ""
	case !a.sees(r):
		return "NOT_FOUND", ""
	case !a.may(m.who):
		return "FORBIDDEN", ""
	case !slices.Contains(m.from, r.status), mutation == "requestVersion" && r.state == "retired":
		return "CONFLICT " + r.status, ""
	case mutation == "editVersion changeLog" && r.status == "NEEDS_INFO": // an edit is an answer
		return "done", "PENDING"
	case m.to == "", mutation == "cancelVersion" && r.status == "IMAGING": // its worker is asked to stop
		return "done", r.status
	}
	return "done", m.to
}

// claim is of a provider, for which nothing but the row is there.
func (a actor) claim(r row) (outcome, status string) {
	switch {
	case a.refused():
		return "401", ""
	case !a.signedIn():
		return "UNAUTHENTICATED", ""
	case a.token == "read only", !a.may("worker"):
		return "FORBIDDEN", ""
	case r.status != "APPROVED":
		return "nothing", ""
	}
	return "done", "IMAGING"
}

// afterwards is who sees the request when the mutation is done: the row as it is then.
func (a actor) afterwards(mutation string, r row, status string) (sees bool, secrets []string) {
	r.status = status
	if mutation == "transferImageRequest" {
		a.username = "no longer the owner"
	}
	return a.sees(r), a.secrets(r)
}

// requestAgain is what becomes of asking for an image of the row's instance: it is taken while its version is open, and who
// may see that is told where it stands.
func (a actor) requestAgain(r row) string {
	switch {
	case a.refused():
		return "401"
	case !a.signedIn():
		return "UNAUTHENTICATED"
	case a.token == "read only":
		return "FORBIDDEN"
	}
	return a.inTheWay(r)
}

func (a actor) inTheWay(r row) string {
	switch {
	case r.open() && a.sees(r):
		return "CONFLICT " + r.status
	case r.open():
		return "CONFLICT"
	}
	return "done"
}

// refusedAdmin is how the actor is refused what only admins may; "" if they are not.
func (a actor) refusedAdmin() string {
	switch {
	case a.refused():
		return "401"
	case !a.signedIn():
		return "UNAUTHENTICATED"
	case a.token != "" || !a.is("ADMIN"):
		return "FORBIDDEN"
	}
	return ""
}
