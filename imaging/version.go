package imaging

import (
	"path"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Status says where a version stands.
type Status string

// The statuses of a version.
const (
	Pending   Status = "PENDING"    // waits for a reviewer
	NeedsInfo Status = "NEEDS_INFO" // waits for the owner's answer
	Denied    Status = "DENIED"     // refused, with a reason
	Cancelled Status = "CANCELLED"  // withdrawn by the owner
	Approved  Status = "APPROVED"   // waits for a worker
	Imaging   Status = "IMAGING"    // a worker is making the image
	Completed Status = "COMPLETED"  // the image is there
	Failed    Status = "FAILED"     // imaging ended without an image
)

// Statuses lists them all.
var Statuses = []Status{Pending, NeedsInfo, Denied, Cancelled, Approved, Imaging, Completed, Failed}

// Valid tells whether s is a status.
func (s Status) Valid() bool { return slices.Contains(Statuses, s) }

// OpenStatuses are those in which a version occupies its instance: there is at most one such version per instance.
var OpenStatuses = []Status{Pending, NeedsInfo, Approved, Imaging}

// Open tells whether a version of this status occupies its instance.
func (s Status) Open() bool { return slices.Contains(OpenStatuses, s) }

// InWork tells whether a version of this status is a worker's business.
func (s Status) InWork() bool { return s == Approved || s == Imaging }

// Version is one imaging of one instance on one provider. It has the life cycle.
type Version struct {
	ID             uuid.UUID  `bun:",pk" json:"id"`
	ImageRequestID uuid.UUID  `json:"-"`
	Ordinal        int        `json:"ordinal"` // its place within the request, from 1
	Alias          string     `json:"alias"`   // the provider's name for the image; the version's id until there is one
	Version        string     `json:"version"` // the label, unique within the request
	ChangeLog      string     `json:"changeLog"`
	Instance       uuid.UUID  `json:"instance"`
	IPAddress      *string    `bun:"ip_address" json:"ipAddress"` // named by the client, never relied upon
	ProviderID     int        `json:"provider"`
	Software       string     `json:"software"`
	Sys            *string    `json:"sys"`                  // nil only after Redact
	Exclude        *string    `json:"exclude"`              // nil only after Redact
	RequestedBy    string     `json:"requestedBy"`          // who asked for it; its request may have another owner by now
	Authors        []string   `bun:",array" json:"authors"` // who said what it is to be made of: they never decide on it
	StartDate      time.Time  `json:"startDate"`
	EndDate        *time.Time `json:"endDate"`
	Status         Status     `json:"status"`
	Name           string     `json:"-"` // of its request, kept here for lists
	Visibility     Visibility `json:"-"` // likewise, for their counts

	// The decision on it; DecidedBy is nil where the provider approved by itself.
	DecidedBy       *string    `json:"decidedBy"`
	DecidedAt       *time.Time `json:"decidedAt"`
	DecisionMessage *string    `bun:"decision" json:"decision"`

	// What a reviewer asked, and what the owner answered.
	QuestionedBy *string    `json:"questionedBy"`
	QuestionedAt *time.Time `json:"questionedAt"`
	QuestionText *string    `bun:"question" json:"question"`
	AnsweredAt   *time.Time `json:"answeredAt"`
	AnswerText   *string    `bun:"answer" json:"answer"`

	// How far a worker is.
	Attempt         int        `json:"attempt"` // how often one has begun
	Stage           *string    `json:"stage"`
	Percent         *int       `json:"percent"`
	CancelRequested bool       `json:"cancelRequested"`
	Excluded        []string   `bun:",array" json:"excluded"` // the paths of exclude that were found and left out
	ImagingStarted  *time.Time `json:"imagingStarted"`
	ImagingEnded    *time.Time `json:"imagingEnded"`

	// The worker's hold on it while it is IMAGING, by the database's clock. Never shown but to who holds it.
	LeaseToken     *uuid.UUID `json:"-"`
	LeaseHolder    *string    `json:"-"`
	LeaseSeconds   *int       `json:"-"`
	LeaseExpiresAt *time.Time `json:"-"`
	EndedLease     *uuid.UUID `json:"-"` // the one with which a worker ended it last

	// Why it failed; FailureDetail is for staff.
	FailureCode      *string `json:"failureCode"`
	FailureMessage   *string `json:"failureMessage"`
	FailureDetail    *string `json:"failureDetail"`
	FailureRetryable *bool   `json:"failureRetryable"`

	Provider     *Provider     `bun:"rel:belongs-to,join:provider_id=id" json:"-"`
	ImageRequest *ImageRequest `bun:"rel:belongs-to,join:image_request_id=id" json:"-"`
}

// IsNode marks what node(id:) can answer.
func (*Version) IsNode() {}

// ExcludePaths are the lines of Exclude that are understood: absolute paths and globs. Prose, the root itself and
// whatever climbs out of its folder by ".." are not. Nil where Exclude may not be read.
func (v *Version) ExcludePaths() []string {
	if v.Exclude == nil {
		return nil
	}
	return ExcludePaths(*v.Exclude)
}

// ExcludePaths picks the absolute paths and globs out of a note, one a line. A glob without a slash in front
// ("*.pem") holds in every folder, so a line of several words is prose unless it begins with a slash.
func ExcludePaths(note string) []string {
	paths := []string{}
	for line := range strings.FieldsFuncSeq(note, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(line)
		if clean := path.Clean(line); excludable(clean) && !slices.Contains(strings.Split(line, "/"), "..") {
			paths = append(paths, clean)
		}
	}
	return paths
}

// excludable tells whether a cleaned line has one meaning, and that is not everything. Understanding too little is seen by
// its author; understanding it wrongly, nobody sees before the secret is out.
func excludable(line string) bool {
	if strings.Trim(line, "/*?") == "" || line != strings.TrimSpace(line) || strings.ContainsFunc(line, unicode.IsControl) {
		return false
	}
	if strings.HasPrefix(line, "/") {
		return true
	}
	_, malformed := path.Match(line, "")
	return malformed == nil && strings.ContainsAny(line, "*?[") &&
		!strings.ContainsFunc(line, unicode.IsSpace) && !strings.HasPrefix(line, "~") // nobody says whose home
}

// LeftOut are those of the paths that were asked to be left out which a worker names, each once and as many as can be kept.
// Others were not asked for, and what the owner reads there they rely on.
func LeftOut(asked, named []string) []string {
	found := map[string]bool{}
	for _, p := range named {
		found[path.Clean(strings.TrimSpace(p))] = true
	}
	out := []string{}
	for _, p := range asked {
		if found[p] && len(out) < MaxExcluded && utf8.RuneCountInString(p) <= MaxPath {
			out = append(out, p)
			found[p] = false
		}
	}
	return out
}

func (v *Version) redact() {
	v.IPAddress, v.Sys, v.Exclude = nil, nil, nil
	v.DecidedBy, v.DecidedAt, v.DecisionMessage = nil, nil, nil
	v.clearQuestion()
	v.clearFailure()
	v.Excluded = nil
}

// Provider is a cloud, or a part of one, that images are made for.
type Provider struct {
	ID          int    `bun:",pk" json:"-"`
	Name        string `json:"name"`
	Active      bool   `json:"active"`      // takes new requests
	AutoApprove bool   `json:"autoApprove"` // its versions need no reviewer
}
