package db_test

import (
	"testing"

	"imagerequests/imaging"
)

// Who asks for one more version is told of the others what they may read of them, and no more.
func TestOneMoreVersionTellsNoInsidesOfFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	in.Provider = 2 // approves by itself
	failed := b.request(t, ann, in)
	claimed, err := b.ClaimVersion(t.Context(), worker, imaging.ClaimVersionInput{Provider: 2, LeaseSeconds: 60})
	if err != nil {
		t.Fatal(err)
	}
	fail := imaging.FailVersionInput{Version: failed.ID, LeaseToken: claimed.Lease.Token, Code: "DISK_FULL", Message: "No space.", Detail: new("sda1 of host 7")}
	if _, err := b.Step(t.Context(), worker, failed.ID, fail.Step()); err != nil {
		t.Fatal(err)
	}
	more, err := b.RequestVersion(t.Context(), ann, another(failed.ImageRequestID))
	if err != nil {
		t.Fatal(err)
	}
	read, err := b.ImageRequest(t.Context(), ann, failed.ImageRequestID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, read, more.ImageRequest)
	if f := more.ImageRequest.Version(failed.ID).Failure(); f == nil || f.Detail != nil || f.Message != "No space." {
		t.Errorf("the owner is told %+v", f)
	}
}
