package transport_test

import (
	"context"
	"testing"

	"imagerequests/graph/transport"
)

func TestResume(t *testing.T) {
	t.Parallel()
	var none *transport.Resume
	none.Sent("a")
	if none.After() != "" || none.Next() != "" || transport.ResumeFrom(context.Background()) != nil {
		t.Error("no Resume does something")
	}
	r := &transport.Resume{}
	if got := transport.ResumeFrom(transport.WithResume(context.Background(), r)); got != r {
		t.Errorf("the context carries %v", got)
	}
	if got := r.Next(); got != "" {
		t.Errorf("before anything was sent there is %q", got)
	}
	r.Sent("a")
	r.Sent("b")
	first := r.Next()
	r.Sent("c")
	if second, third, fourth := r.Next(), r.Next(), r.Next(); first+second+third+fourth != "abc" {
		t.Errorf("cursors %q %q %q %q", first, second, third, fourth)
	}
}
