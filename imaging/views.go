package imaging

import (
	"time"

	"github.com/google/uuid"
)

// Decision is what a reviewer decided on a version.
type Decision struct {
	By      *string // nil: the provider approved by itself
	At      time.Time
	Message *string
}

// Decision is nil before there is one, and for who may not read it.
func (v *Version) Decision() *Decision {
	if v.DecidedAt == nil {
		return nil
	}
	return &Decision{By: v.DecidedBy, At: *v.DecidedAt, Message: v.DecisionMessage}
}

// Inquiry is what a reviewer asked, and what the owner answered.
type Inquiry struct {
	By         string
	At         time.Time
	Message    string
	Answer     *string
	AnsweredAt *time.Time
}

// Question is nil if nothing was asked, and for who may not read it.
func (v *Version) Question() *Inquiry {
	if v.QuestionedAt == nil {
		return nil
	}
	return &Inquiry{By: or(v.QuestionedBy, ""), At: *v.QuestionedAt, Message: or(v.QuestionText, ""), Answer: v.AnswerText, AnsweredAt: v.AnsweredAt}
}

// Progress is how far the imaging of a version is.
type Progress struct {
	Stage           *string
	Percent         *int
	Attempt         int
	StartedAt       time.Time
	EndedAt         *time.Time
	CancelRequested bool
	Excluded        []string
}

// Progress is nil before a worker has begun.
func (v *Version) Progress() *Progress {
	if v.ImagingStarted == nil {
		return nil
	}
	return &Progress{
		Stage: v.Stage, Percent: v.Percent, Attempt: v.Attempt, StartedAt: *v.ImagingStarted, EndedAt: v.ImagingEnded,
		CancelRequested: v.CancelRequested, Excluded: v.Excluded,
	}
}

// Failure is why a version failed.
type Failure struct {
	Code      string
	Message   string
	Detail    *string // for staff
	Retryable bool
}

// Failure is nil if the version has not failed, and for who may not read it.
func (v *Version) Failure() *Failure {
	if v.FailureCode == nil {
		return nil
	}
	return &Failure{Code: *v.FailureCode, Message: or(v.FailureMessage, ""), Detail: v.FailureDetail, Retryable: or(v.FailureRetryable, false)}
}

// Outcome is what a step leaves the actor with: the version and its request, nil if they may see them no longer, and the
// lease, if they hold it.
type Outcome struct {
	ImageRequest    *ImageRequest
	Version         *Version
	Lease           *Lease
	CancelRequested bool
}

// Lease is a worker's hold on a version.
type Lease struct {
	Token     uuid.UUID
	ExpiresAt time.Time
}

// OutcomeFor shows the actor a version after their step, as far as they may see it. The lease is for who has just shown
// its token or got it.
func OutcomeFor(a Actor, v *Version, lease bool) *Outcome {
	out := &Outcome{}
	if v == nil {
		return out
	}
	if out.CancelRequested = v.CancelRequested; lease && v.LeaseToken != nil {
		out.Lease = &Lease{Token: *v.LeaseToken, ExpiresAt: *v.LeaseExpiresAt}
	}
	if Visible(a, v.ImageRequest) {
		Redact(a, v.ImageRequest)
		out.ImageRequest, out.Version = v.ImageRequest, v
	}
	return out
}
