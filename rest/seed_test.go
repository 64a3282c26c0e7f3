package rest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"imagerequests/db"
	"imagerequests/imaging"
)

// block is a literal block of the document: the lines after the n-th occurrence of mark (from 0) up to until, indented
// so many blanks less.
func block(t testing.TB, mark string, n int, until string, indent int) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/image_requests.apib")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), mark)
	if len(parts) < n+2 {
		t.Fatalf("the document has no %q number %d", mark, n)
	}
	var b bytes.Buffer
	for line := range strings.Lines(parts[n+1]) {
		if until != "" && strings.HasPrefix(line, until) || until == "" && b.Len() > 0 && !strings.HasPrefix(line, strings.Repeat(" ", indent)) {
			break
		}
		if len(line) > indent {
			b.WriteString(line[indent:])
		}
	}
	return b.Bytes()
}

// documented is a documented body as it goes over the wire: without blanks.
func documented(t testing.TB, n int) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, block(t, "+ Body\n", n, "", 12)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDocumentedItem(t *testing.T) {
	t.Parallel()
	s := serve(t)
	want := documented(t, 0)
	for _, path := range []string{"", "/"} {
		s.get("/image_requests/"+db.DemoRequest.String()+path).is(t, http.StatusOK, want)
	}
}

func TestDocumentedList(t *testing.T) {
	t.Parallel()
	s := serve(t)
	want := documented(t, 1)
	for _, path := range []string{"/image_requests", "/image_requests/"} {
		s.get(path+"?tag=Ubuntu").is(t, http.StatusOK, want)
	}
}

// TestDocumentedRequest sends the documented body as it stands there, bare member names, no name and all.
func TestDocumentedRequest(t *testing.T) {
	t.Parallel()
	s := serve(t)
	body := block(t, "+ Request (application/json)\n", 0, "+ Response", 8)
	if json.Valid(body) || !bytes.Contains(body, []byte(`instance: "74089c18-f80a-11e3-8ef5-b2227cce2b54",`)) {
		t.Fatalf("this is not the documented body:\n%s", body)
	}
	a := s.post(string(body))
	made := into[imageRequest](t, a)
	want := imageRequest{
		ID: made.ID, CreatedBy: "username", Name: "Image of 74089c18-f80a-11e3-8ef5-b2227cce2b54",
		Tags: []string{"ESD", "BGF", "apache2", "SpliceGrapher"}, Versions: made.Versions,
	}
	if diff := cmp.Diff(want, made); diff != "" || len(made.Versions) != 1 || made.Versions[0].Provider != 1 {
		t.Errorf("%s\n%s", diff, a.body)
	}
	if got, want := a.header.Get("Location"), "http://localhost:8080/image_requests/"+made.ID; got != want {
		t.Errorf("Location %s, want %s", got, want)
	}
	s.get("/image_requests/"+made.ID).is(t, http.StatusOK, a.body)

	kept, err := s.store.ImageRequest(t.Context(), known[owner], mustID(t, made.ID))
	if err != nil {
		t.Fatal(err)
	}
	v := kept.Newest()
	address, sys, exclude := "127.0.0.1", "I'm not sure what this field means.", "I do not need any files excluded from the image."
	got := []any{kept.Description, v.Instance.String(), v.Software, v.Sys, v.Exclude, v.IPAddress, v.Status}
	if diff := cmp.Diff([]any{
		"I would like to request an image of this instance for [reasons].", "74089c18-f80a-11e3-8ef5-b2227cce2b54",
		"Description of software installed on the machine.", &sys, &exclude, &address, imaging.Pending,
	}, got); diff != "" {
		t.Error(diff)
	}
}
