package plan_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
)

// texts are all that a text can hold that is written in a way of its own, and what is no text at all.
var texts = []string{
	"", "plain", `"quoted"`, `back\slash`, "line\nbreak", "\t\r\b\f\x00\x1f\x7f", "ä日本\u2028😀", "a\xffb\xc3", "</script>&", "end\\", `"`,
	strings.Repeat("long and longer, ", 40),
}

// random makes what is found.
type random struct{ *rand.Rand }

func (r random) text() string { return texts[r.IntN(len(texts))] }
func (r random) time() time.Time {
	t := time.Unix(r.Int64N(4e9)-1e9, r.Int64N(1e9))
	switch r.IntN(8) {
	case 0:
		t = time.Date(1+r.IntN(9999), 1, 1, 0, 0, 0, 0, time.UTC)
	case 1:
		t = t.In(time.FixedZone("", 3600*(r.IntN(24)-12)))
	}
	return t
}

func (r random) id() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	if r.IntN(5000) == 0 { // which no row has: gqlgen says so
		return uuid.Nil
	}
	return id
}

// fill sets each field of a struct to something; a pointer or a list to nil, often.
func (r random) fill(v reflect.Value) {
	switch of := v.Interface().(type) {
	case uuid.UUID:
		v.Set(reflect.ValueOf(r.id()))
		return
	case time.Time:
		v.Set(reflect.ValueOf(r.time()))
		return
	case imaging.Status:
		v.SetString(string(imaging.Statuses[r.IntN(len(imaging.Statuses))]))
		return
	case imaging.Visibility:
		v.SetString(string(imaging.Visibilities[r.IntN(len(imaging.Visibilities))]))
		return
	case []string:
		if n := r.IntN(5); n > 0 {
			of = make([]string, n-1)
			for i := range of {
				of[i] = r.text()
			}
			v.Set(reflect.ValueOf(of))
		}
		return
	case *imaging.Provider, *imaging.ImageRequest, []*imaging.Version:
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(r.text())
	case reflect.Int:
		v.SetInt([]int64{0, 1, -1, r.Int64N(1 << 31), 1<<31 - 1}[r.IntN(5)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			r.fill(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			r.fill(v.Field(i))
		}
	}
}

func (r random) request() *imaging.ImageRequest {
	request := &imaging.ImageRequest{}
	r.fill(reflect.ValueOf(request).Elem())
	for range 1 + r.IntN(3) {
		v := &imaging.Version{ImageRequest: request, Provider: &imaging.Provider{}}
		r.fill(reflect.ValueOf(v).Elem())
		r.fill(reflect.ValueOf(v.Provider).Elem())
		v.Provider.ID = v.ProviderID
		request.Versions = append(request.Versions, v)
	}
	return request
}

var errCount = errors.New("the count failed")

// page is a list whose counts fail now and then.
func page[T any](r random, rows []T) *db.Connection[T] {
	n, next, previous, fails := r.IntN(1e6), r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(60)
	fail := func(which int) error {
		if fails == which {
			return errCount
		}
		return nil
	}
	return db.NewConnection(rows, cursor, func(context.Context) (int, error) { return n, fail(1) },
		func(context.Context) (bool, error) { return next, fail(2) }, func(context.Context) (bool, error) { return previous, fail(3) })
}

// cursor is another text for most rows, of what each plan reads.
func cursor[T any](row T) string {
	n := 0
	switch row := any(row).(type) {
	case *imaging.ImageRequest:
		n = int(row.ID[15])
	case *imaging.Version:
		n = int(uint8(row.Ordinal)) //nolint:gosec // any will do
	}
	return texts[n%len(texts)]
}

func (r random) found() found {
	var requests []*imaging.ImageRequest
	var versions []*imaging.Version
	for range 1 + r.IntN(3) {
		requests = append(requests, r.request())
		versions = append(versions, requests[len(requests)-1].Versions...)
	}
	f := found{nodes: []imaging.Node{requests[0], versions[r.IntN(len(versions))], nil}}
	if n := r.IntN(40); n < 2 {
		f.nodes[n] = nil
	}
	f.requests, f.versions = page(r, requests[r.IntN(len(requests)):]), page(r, versions[r.IntN(len(versions)+1):])
	switch r.IntN(50) {
	case 0:
		f.err = errors.New("not today")
	case 1:
		f.requests, f.versions = nil, nil
	}
	return f
}

// narrow leaves in what is found the columns alone that a plan names; nil leaves all.
type narrow struct{ *db.Columns }

func (n narrow) node(node imaging.Node) imaging.Node {
	switch node := node.(type) {
	case *imaging.ImageRequest:
		return n.request(node)
	case *imaging.Version:
		return n.version(node)
	}
	return nil
}

func (n narrow) request(r *imaging.ImageRequest) *imaging.ImageRequest {
	if n.Columns == nil || r == nil {
		return r
	}
	narrowed := &imaging.ImageRequest{}
	keep(n.ImageRequest, reflect.ValueOf(narrowed).Elem(), reflect.ValueOf(r).Elem())
	if len(n.Version) == 0 && !n.Provider {
		return narrowed
	}
	for _, v := range r.Versions {
		nv := &imaging.Version{ImageRequest: narrowed}
		keep(n.Version, reflect.ValueOf(nv).Elem(), reflect.ValueOf(v).Elem())
		if n.Provider {
			nv.Provider = v.Provider
		} else if slices.Contains(n.Version, "provider_id") {
			nv.Provider = &imaging.Provider{ID: v.ProviderID}
		}
		narrowed.Versions = append(narrowed.Versions, nv)
	}
	return narrowed
}

func (n narrow) version(v *imaging.Version) *imaging.Version {
	if n.Columns == nil || v == nil {
		return v
	}
	return n.request(v.ImageRequest).Versions[slices.Index(v.ImageRequest.Versions, v)]
}

// keep copies the fields that hold these columns.
func keep(columns []string, to, from reflect.Value) {
	for _, c := range columns {
		i, ok := holds(to.Type())[c]
		if !ok {
			panic(fmt.Sprintf("%v has no column %s", to.Type(), c))
		}
		to.Field(i).Set(from.Field(i))
	}
}

// holds says which field holds a column.
func holds(of reflect.Type) map[string]int {
	if known, ok := held[of]; ok {
		return known
	}
	columns := map[string]int{}
	for i := range of.NumField() {
		tag := of.Field(i).Tag.Get("bun")
		name, _, _ := strings.Cut(tag, ",")
		if name == "" {
			name = snake(of.Field(i).Name)
		}
		if !strings.HasPrefix(tag, "rel:") {
			columns[name] = i
		}
	}
	return columns
}

var held = map[reflect.Type]map[string]int{}

func init() {
	for _, of := range []reflect.Type{reflect.TypeFor[imaging.ImageRequest](), reflect.TypeFor[imaging.Version]()} {
		held[of] = holds(of)
	}
}

// snake is a field's name as Bun names its column.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, c := range runes {
		if i > 0 && unicode.IsUpper(c) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
