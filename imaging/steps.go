package imaging

import "github.com/google/uuid"

// DecisionInput is a reviewer's decision on a version: approve, deny or ask. It names the revision that was read.
type DecisionInput struct {
	Version  uuid.UUID
	Revision int
	Message  *string
}

// Step is what the decision does.
func (in DecisionInput) Step(action Action) Step {
	return Step{Action: action, Revision: &in.Revision, Message: or(in.Message, "")}
}

// RemarkInput is a step that needs no more than the version and what is said with it: answer, cancel, resubmit, retry.
type RemarkInput struct {
	Version uuid.UUID
	Message *string
}

// Step is what it does.
func (in RemarkInput) Step(action Action) Step {
	return Step{Action: action, Message: or(in.Message, "")}
}

// ClaimVersionInput is a worker's question for work.
type ClaimVersionInput struct {
	Provider     int
	LeaseSeconds int
}

// Step is what it does, once there is a version.
func (in ClaimVersionInput) Step() Step {
	return Step{Action: Claim, Lease: uuid.New(), LeaseSeconds: in.LeaseSeconds}
}

// Refusal is why the worker gets nothing whatever waits: UNAUTHENTICATED, FORBIDDEN, INVALID by field.
func (in ClaimVersionInput) Refusal(a Actor) error {
	if err := a.MayWrite(); err != nil {
		return err
	}
	if !a.WorksOn(in.Provider) {
		return ErrForbidden()
	}
	var p Problems
	step := in.Step()
	leaseTerm(&step, &p)
	return p.Err()
}

// ReportVersionInput is how far a worker is; it extends the lease.
type ReportVersionInput struct {
	Version    uuid.UUID
	LeaseToken uuid.UUID
	Stage      *string
	Percent    *int
	Excluded   []string
}

// Step is what it does.
func (in ReportVersionInput) Step() Step {
	return Step{Action: Report, Lease: in.LeaseToken, Stage: or(in.Stage, ""), Percent: in.Percent, Excluded: in.Excluded}
}

// CompleteVersionInput says that the image is there, and what the provider calls it.
type CompleteVersionInput struct {
	Version    uuid.UUID
	LeaseToken uuid.UUID
	Alias      string
	Excluded   []string
}

// Step is what it does.
func (in CompleteVersionInput) Step() Step {
	return Step{Action: Complete, Lease: in.LeaseToken, Alias: in.Alias, Excluded: in.Excluded}
}

// FailVersionInput says that there will be no image, and why.
type FailVersionInput struct {
	Version    uuid.UUID
	LeaseToken uuid.UUID
	Code       string
	Message    string
	Detail     *string
	Retryable  bool
}

// Step is what it does.
func (in FailVersionInput) Step() Step {
	return Step{Action: Fail, Lease: in.LeaseToken, Code: in.Code, Message: in.Message, Detail: or(in.Detail, ""), Retryable: in.Retryable}
}

// ReleaseVersionInput says that the worker gives the version back, undone.
type ReleaseVersionInput struct {
	Version    uuid.UUID
	LeaseToken uuid.UUID
	Message    *string
}

// Step is what it does.
func (in ReleaseVersionInput) Step() Step {
	return Step{Action: Release, Lease: in.LeaseToken, Message: or(in.Message, "")}
}

func or[T any](v *T, otherwise T) T {
	if v == nil {
		return otherwise
	}
	return *v
}
