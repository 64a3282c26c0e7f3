package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/imaging"
)

// many makes n public requests with the tag "many", named "Image 0" onwards, the newest last.
func many(t *testing.T, s *service, n int) {
	t.Helper()
	for i := range n {
		in := imaging.RequestImageInput{
			Name: fmt.Sprintf("Image %d", i), Work: imaging.Work{Instance: uuid.New(), Provider: 1}, Tags: []string{"many"}, Visibility: imaging.Public,
		}
		if _, err := s.store.RequestImage(t.Context(), known[other], in); err != nil {
			t.Fatal(err)
		}
	}
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

func names(p page) []string {
	all := []string{}
	for _, r := range p.Results {
		all = append(all, r.Name)
	}
	return all
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := serve(t)
	many(t, s, 5)
	const at = "http://localhost:8080/image_requests"
	for _, c := range []struct{ query, next, previous, first string }{
		{"?tag=many&page_size=2", at + "?page=2&page_size=2&tag=many", "null", "Image 4"},
		{"?tag=many&page_size=2&page=2&x=a+b%2F%C3%A9", at + "?page=3&page_size=2&tag=many&x=a+b%2F%C3%A9", at + "?page_size=2&tag=many&x=a+b%2F%C3%A9", "Image 2"},
		{"/?page=3&tag=many&page_size=2", "null", at + "/?page=2&page_size=2&tag=many", "Image 0"},
		{"?page=last&tag=many&page_size=2", "null", at + "?page=2&page_size=2&tag=many", "Image 0"},
		{"?page=1&page=2&tag=many&page_size=4", "null", at + "?page_size=4&tag=many", "Image 0"},
		{"?tag=many&z&page_size=4&format=json&%zz=100%", at + "?%25zz=100%25&format=json&page=2&page_size=4&tag=many&z=", "null", "Image 4"},
		{"?tag=many&page= 2&page_size= 3", "null", at + "?page_size=+3&tag=many", "Image 1"},
	} {
		a := s.get("/image_requests" + strings.ReplaceAll(c.query, " ", "%20"))
		p := into[page](t, a)
		if text(p.Next) != c.next || text(p.Previous) != c.previous || p.Count != 5 || p.Results[0].Name != c.first {
			t.Errorf("%s: count %d, next %s, previous %s, first %s", c.query, p.Count, text(p.Next), text(p.Previous), p.Results[0].Name)
		}
		var link []string
		if p.Next != nil {
			link = append(link, "<"+*p.Next+`>; rel="next"`)
		}
		if p.Previous != nil {
			link = append(link, "<"+*p.Previous+`>; rel="prev"`)
		}
		if got := a.header.Get("Link"); got != strings.Join(link, ", ") {
			t.Errorf("%s: Link %s", c.query, got)
		}
	}
}

// TestFollowNext reads the whole list the way the clients do.
func TestFollowNext(t *testing.T) {
	t.Parallel()
	s := serve(t)
	many(t, s, 5)
	var got []string
	target := "/image_requests?tag=many&page_size=2&ordering=name"
	for range 10 {
		p := into[page](t, s.get(target))
		if got = append(got, names(p)...); p.Next == nil {
			break
		}
		target = *p.Next
	}
	if diff := cmp.Diff([]string{"Image 0", "Image 1", "Image 2", "Image 3", "Image 4"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestInvalidPages(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, page := range []string{"0", "-1", "abc", "", "2.0", "2", "99999999999999999999", "Last", "1&page=0", "%00"} {
		a := s.get("/image_requests?page=" + page)
		if page == "%00" {
			a.is(t, http.StatusBadRequest, `{"page":["Null characters and invalid UTF-8 are not allowed."]}`)
			continue
		}
		a.is(t, http.StatusNotFound, `{"detail":"Invalid page."}`)
	}
	empty := s.get("/image_requests?tag=nobody-has-it&page=last")
	empty.is(t, http.StatusOK, `{"count":0,"next":null,"previous":null,"results":[]}`)
}

func TestPageSizes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	many(t, s, 101)
	for size, want := range map[string]int{"": 100, "0": 100, "-1": 100, "abc": 100, "1.5": 100, "1": 1, "1000": 101, "1001": 101, "99999999999999999999": 101} {
		if p := into[page](t, s.get("/image_requests?tag=many&page_size="+size)); len(p.Results) != want || p.Count != 101 {
			t.Errorf("page_size=%s: %d of %d", size, len(p.Results), p.Count)
		}
	}
}

// TestFilters runs over the demonstration's requests, as somebody who may see them all.
func TestFilters(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const documented, genome, sky, desktop, course, scratch = "Ubuntu 12.04 Updated NoGUI v1", "Genome assembly workbench",
		"Image processing for sky surveys", "Desktop with everything", "Statistics course 2026", "Scratch machine"
	all := []string{genome, sky, desktop, course, scratch, documented}
	for query, want := range map[string][]string{
		"": all,
		"unknown=1&ordering=bogus&status=&search=": all,
		"status=pending":                       {genome, course},
		"status=bogus&status=completed":        {documented},
		"created_by=teacher":                   {course, scratch},
		"created_by=nobody":                    {},
		"tag=Ubuntu&tag=Featured":              {documented},
		"tag=Ubuntu&tag=biology":               {},
		"tag=ubuntu":                           {},
		"tag=":                                 all,
		"provider=1&tag=R":                     {course},
		"provider=2":                           {},
		"provider=-7":                          {},
		"search=uPDATED+nogui":                 {documented},
		"search=nogui,featured":                {documented},
		"search=nogui+sky":                     {},
		"search=ogu":                           {documented},
		"search=og":                            {},
		"search=nogui+V1+12.04":                {documented},
		"search=2.0":                           {documented},
		"search=%25":                           {},
		"search=100%":                          {},
		"search=_":                             {},
		"ordering=name":                        {desktop, genome, sky, scratch, course, documented},
		"ordering=-name&tag=Ubuntu":            {documented},
		"ordering=start_date":                  {documented, scratch, course, desktop, sky, genome},
		"ordering=bogus,-start_date":           all,
		"ordering=-bogus":                      all,
		"created_by=username&ordering=status":  {documented, desktop, genome},
		"created_by=username&ordering=-status": {genome, desktop, documented},
	} {
		p := into[page](t, s.get("/image_requests?"+query, "Authorization: Bearer "+staff))
		if diff := cmp.Diff(want, names(p)); diff != "" || p.Count != len(want) {
			t.Errorf("%s: count %d\n%s", query, p.Count, diff)
		}
	}
}

func TestInvalidFilters(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const unreadable = "Null characters and invalid UTF-8 are not allowed."
	for query, want := range map[string]string{
		"status=bogus":                   `{"status":["Select a valid choice. bogus is not one of the available choices."]}`,
		"status=PENDING":                 `{"status":["Select a valid choice. PENDING is not one of the available choices."]}`,
		"provider=abc":                   `{"provider":["Select a valid choice. abc is not one of the available choices."]}`,
		"provider=99999999999":           `{"provider":["Select a valid choice. 99999999999 is not one of the available choices."]}`,
		"status=x&provider=y":            `{"status":["Select a valid choice. x is not one of the available choices."],"provider":["Select a valid choice. y is not one of the available choices."]}`,
		"search=%00":                     `{"search":["` + unreadable + `"]}`,
		"tag=a&tag=%FF":                  `{"tag":["` + unreadable + `"]}`,
		"created_by=%C3":                 `{"created_by":["` + unreadable + `"]}`,
		"detail=%00":                     `{"non_field_errors":["` + unreadable + `"]}`,
		"%ff=1":                          `{"non_field_errors":["` + unreadable + `"]}`,
		"search=" + repeat("a", 257):     `{"search":["Ensure this field has no more than 256 characters."]}`,
		"tag=x&tag=" + repeat("a", 129):  `{"tag":["Ensure this field has no more than 128 characters."]}`,
		repeat("tag=a&", 101):            `{"tag":["Ensure this field has no more than 100 elements."]}`,
		"created_by=" + repeat("a", 151): `{"created_by":["Ensure this field has no more than 150 characters."]}`,
	} {
		s.get("/image_requests?"+query).is(t, http.StatusBadRequest, want)
	}
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }

// TestRetired shows that what is retired is in no list, but still found by its id.
func TestRetired(t *testing.T) {
	t.Parallel()
	s := serve(t)
	many(t, s, 1)
	r := into[page](t, s.get("/image_requests?tag=many")).Results[0]
	end := time.Now().UTC()
	if _, err := s.store.EditImageRequest(t.Context(), known[other], imaging.EditImageRequestInput{ImageRequest: mustID(t, r.ID), EndDate: imaging.SetTo(&end)}); err != nil {
		t.Fatal(err)
	}
	if p := into[page](t, s.get("/image_requests?tag=many")); p.Count != 0 {
		t.Errorf("listed: %v", names(p))
	}
	if a := s.get("/image_requests/" + r.ID); a.status != http.StatusOK || !strings.Contains(a.body, end.Format(`"end_date":"2006-01-02T15:04:05.000Z"`)) {
		t.Errorf("%d %s", a.status, a.body) // digits are cut, not rounded
	}
}
