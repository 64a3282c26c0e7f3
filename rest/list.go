package rest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"imagerequests/imaging"
	"imagerequests/render"
)

// Sizes of a page.
const (
	defaultPageSize = 100
	maxPageSize     = 1000
)

// list answers GET on the collection: one page of what the caller may see and the filters want, without what is retired.
func (x *exchange) list() ([]byte, error) {
	filter, order, err := x.wanted()
	if err != nil {
		return nil, err
	}
	ctx, size := x.r.Context(), x.pageSize()
	count, err := x.Store.CountImageRequests(ctx, x.actor, filter)
	if err != nil {
		return nil, err
	}
	pages := max(1, (count+size-1)/size)
	page, err := x.pageNumber(pages)
	if err != nil {
		return nil, err
	}
	rows, err := x.Store.Only(itemColumns).ImageRequestPage(ctx, x.actor, (page-1)*size, size, filter, &order)
	if err != nil {
		return nil, err
	}
	b := strconv.AppendInt(append(render.Buffer(), `{"count":`...), int64(count), 10)
	b = x.appendLink(append(b, `,"next":`...), "next", page+1, page < pages)
	b = x.appendLink(append(b, `,"previous":`...), "prev", page-1, page > 1)
	b = append(b, `,"results":[`...)
	for _, r := range rows {
		b = appendItem(comma(b), r)
	}
	return append(b, ']', '}'), nil
}

// pageSize is as asked for if that is a number above 0, at most maxPageSize.
func (x *exchange) pageSize() int {
	n, _ := strconv.ParseUint(strings.TrimSpace(x.query.last("page_size")), 10, 64) // the greatest if it is out of range
	if n == 0 {
		return defaultPageSize
	}
	return int(min(n, maxPageSize))
}

func (x *exchange) pageNumber(pages int) (int, error) {
	asked, given := x.query.last("page"), x.query["page"] != nil
	switch n, err := strconv.Atoi(strings.TrimSpace(asked)); {
	case !given:
		return 1, nil
	case asked == "last":
		return pages, nil
	case err == nil && 1 <= n && n <= pages:
		return n, nil
	}
	return 0, refuse(http.StatusNotFound, imaging.NotFound, "Invalid page.")
}

// appendLink writes the address of another page, or null, and tells it in the Link header, too. The other parameters are
// kept, sorted by name; page 1 is the address without a page.
func (x *exchange) appendLink(b []byte, rel string, page int, there bool) []byte {
	if !there {
		return append(b, "null"...)
	}
	q := url.Values(maps.Clone(x.query))
	q.Set("page", strconv.Itoa(page))
	if page == 1 {
		q.Del("page")
	}
	address := x.base(x.r) + x.r.URL.Path
	if query := q.Encode(); query != "" {
		address += "?" + query
	}
	h, link := x.w.Header(), "<"+address+`>; rel="`+rel+`"`
	if before := h.Get("Link"); before != "" {
		link = before + ", " + link
	}
	h.Set("Link", link)
	return appendText(b, address)
}

// parameters are the names of what can be filtered by here, by the field of imaging.
var parameters = map[string]string{"createdBy": "created_by", "tags": "tag", "search": "search"}

// wanted reads filter and order from the query: INVALID by parameter. Empty parameters want all.
func (x *exchange) wanted() (*imaging.Filter, imaging.Order, error) {
	ended := false
	f := &imaging.Filter{Ended: &ended, Tags: x.query.filled("tag")}
	problems := x.unreadable()
	if s := x.query.last("status"); s != "" {
		f.Status = []imaging.Status{imaging.Status(strings.ToUpper(s))}
		if !f.Status[0].Valid() || s != lower(f.Status[0]) {
			problems = append(problems, notAChoice("status", s))
		}
	}
	if s := x.query.last("provider"); s != "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil {
			problems = append(problems, notAChoice("provider", s))
		}
		number := int(n)
		f.Provider = &number
	}
	if s := x.query.last("created_by"); s != "" {
		f.CreatedBy = &s
	}
	if s := strings.ReplaceAll(x.query.last("search"), ",", " "); s != "" { // the framework splits at commas, too
		f.Search = &s
	}
	return f, x.order(), append(problems, filterProblems(f, problems)...).Err()
}

// filterProblems is what imaging says of a filter, by parameter, beside what is told already.
func filterProblems(f *imaging.Filter, told imaging.Problems) imaging.Problems {
	var p imaging.Problems
	for _, e := range f.Problems() {
		field, _, _ := strings.Cut(e.Field, ".")
		if e.Field = parameters[field]; !told.On(e.Field) {
			p = append(p, e)
		}
	}
	return p
}

// unreadable lists the parameters that hold a NUL or are not UTF-8; one error stands for all unknown ones.
func (x *exchange) unreadable() imaging.Problems {
	bad := map[string]bool{}
	for name, all := range x.query {
		if imaging.Storable(name) && !slices.ContainsFunc(all, func(s string) bool { return !imaging.Storable(s) }) {
			continue
		}
		switch name {
		case "status", "created_by", "tag", "provider", "search", "ordering", "page", "page_size":
			bad[name] = true
		default:
			bad[""] = true
		}
	}
	var p imaging.Problems
	for _, name := range slices.Sorted(maps.Keys(bad)) {
		p = append(p, wrong(name, "Null characters and invalid UTF-8 are not allowed."))
	}
	return p
}

func notAChoice(field, value string) *imaging.Error {
	return wrong(field, "Select a valid choice. %s is not one of the available choices.", value)
}

// order is the first ordering that is known; newest first if none is.
func (x *exchange) order() imaging.Order {
	known := map[string]imaging.OrderField{"start_date": imaging.ByStartDate, "name": imaging.ByName, "status": imaging.ByStatus}
	for name := range strings.SplitSeq(x.query.last("ordering"), ",") {
		name, down := strings.CutPrefix(strings.TrimSpace(name), "-")
		o := imaging.Order{Field: known[name], Direction: imaging.Asc}
		if down {
			o.Direction = imaging.Desc
		}
		if o.Field != "" {
			return o
		}
	}
	return imaging.NewestFirst
}

// renamed gives the fields of an INVALID error their names in this door.
func renamed(err error, name func(string) string) error {
	if imaging.CodeOf(err) != imaging.Invalid {
		return err
	}
	var p imaging.Problems
	for _, e := range imaging.All(err) {
		c := *e
		c.Field = name(e.Field)
		p = append(p, &c)
	}
	return p
}
