package db_test

import (
	"strings"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"imagerequests/imaging"
)

func drawOrder(rt *rapid.T) *imaging.Order {
	return rapid.SampledFrom(orders(imaging.ByStartDate, imaging.ByName, imaging.ByStatus)).Draw(rt, "order")
}

// orders are all orders of a list with these fields.
func orders(fields ...imaging.OrderField) []*imaging.Order {
	all := []*imaging.Order{nil}
	for _, f := range fields {
		all = append(all, &imaging.Order{Field: f, Direction: imaging.Asc}, &imaging.Order{Field: f, Direction: imaging.Desc})
	}
	return all
}

// target is a row that a filter may be aimed at.
type target struct {
	id      uuid.UUID
	start   time.Time
	end     *time.Time
	version *imaging.Version // whose status, provider and instance the row has
}

func (w *world) anyRequest() target {
	r := pick(w, w.requests)
	return target{r.ID, r.StartDate, r.EndDate, r.Versions[len(r.Versions)-1]}
}

func (w *world) anyVersion() target {
	v := pick(w, pick(w, w.requests).Versions)
	return target{v.ID, v.StartDate, v.EndDate, v}
}

// drawFilter draws a filter of any of the fields. Half of the filters are aimed at a row: they find at least that one, if it
// may be seen. The others want whatever there is.
func (w *world) drawFilter(rt *rapid.T, row target) *imaging.Filter {
	rt.Helper()
	f, aimed := &imaging.Filter{}, rapid.Bool().Draw(rt, "aimed")
	rarely := rapid.SampledFrom([]int{3, 5, 12}).Draw(rt, "one field in")
	ask := func(aim, miss func()) {
		switch {
		case w.rnd.IntN(rarely) > 0:
		case aimed:
			aim()
		default:
			miss()
		}
	}
	v, r := row.version, row.version.ImageRequest
	ask(func() { f.IDs = []uuid.UUID{w.id(), row.id, row.id, uuid.Nil} }, func() { f.IDs = some(w, append(w.ids(), w.id(), uuid.Nil), 3) })
	ask(func() { f.Status = append(some(w, imaging.Statuses, 4), v.Status) }, func() { f.Status = some(w, imaging.Statuses, 3) })
	ask(func() { f.CreatedBy = &r.CreatedBy }, func() { f.CreatedBy = new(pick(w, append(someUsers, "%", ""))) })
	ask(func() { f.Provider = &v.ProviderID }, func() { f.Provider = new(w.rnd.IntN(6) - 1) })
	ask(func() { f.Tags = some(w, r.Tags, 2) }, func() { f.Tags = some(w, someTags, 2) })
	ask(func() { f.Visibility = &r.Visibility }, func() { f.Visibility = new(pick(w, imaging.Visibilities)) })
	ask(func() { f.Instance = &v.Instance }, func() { f.Instance = new(pick(w, append(w.instances, w.id(), uuid.Nil))) })
	ask(func() { f.StartedFrom = &row.start }, func() { f.StartedFrom = new(w.moment()) })
	ask(func() { f.StartedBefore = new(row.start.Add(time.Microsecond)) }, func() { f.StartedBefore = new(w.moment()) })
	ask(func() { f.Ended = new(row.end != nil && row.end.Before(time.Now())) }, func() { f.Ended = new(w.rnd.IntN(2) == 0) })
	ask(func() { f.EndsFrom = row.end }, func() { f.EndsFrom = new(w.moment().AddDate(w.rnd.IntN(2)*1000, 0, 0)) })
	ask(func() { f.EndsBefore = justAfter(row.end) }, func() { f.EndsBefore = row.end })
	ask(func() { f.Search = new(w.search(r.Name, r.Description, strings.Join(r.Tags, "\n"))) }, func() { f.Search = new(w.search(someWords...)) })
	rt.Logf("filter %s", cmp.Diff(imaging.Filter{}, *f))
	return f
}

// ids are those of all requests and their versions.
func (w *world) ids() (all []uuid.UUID) {
	for _, r := range w.requests {
		all = append(all, r.ID)
		for _, v := range r.Versions {
			all = append(all, v.ID)
		}
	}
	return all
}

func justAfter(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.Add(time.Microsecond))
}

// someWords are what people search for, and what SQL, LIKE and arrays would take for their own.
var someWords = []string{
	"", "ALPHA", "größe", "GRÖSSE", `back\`, "it's", "%", "_", `\`, "a?", "日", "{x", "σοφος", "ΣΟΦΌΣ", "i", "I", "\u0131", "İ", "i\u0307", "ΜM", "strasse", "STRAẞE", "nothing", "c++", "+", "...", "3.1", "b-c", "本", "メモ", "ログ", "서", "ที่", "हि", "🙂",
}

// search is one to three pieces of words of these texts, parted and spelt in any way.
func (w *world) search(texts ...string) string {
	var words []string
	for range 1 + w.rnd.IntN(3) {
		piece := ""
		if all := strings.Fields(pick(w, texts)); len(all) > 0 {
			letters := []rune(pick(w, all))
			from := w.rnd.IntN(len(letters))
			piece = string(letters[from : from+1+w.rnd.IntN(len(letters)-from)])
		}
		words = append(words, w.respell(piece))
	}
	return strings.Join(words, pick(w, []string{" ", "\n", "\t  ", "\u00a0", "\u3000"}))
}

// respell writes each letter in another case, or not.
func (w *world) respell(word string) string {
	return strings.Map(func(r rune) rune {
		switch w.rnd.IntN(4) {
		case 0:
			return unicode.ToUpper(r)
		case 1:
			return unicode.ToLower(r)
		case 2:
			return unicode.SimpleFold(r)
		default:
			return r
		}
	}, word)
}
