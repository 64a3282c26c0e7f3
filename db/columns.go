package db

import (
	"slices"
	"strings"
	"sync"

	"imagerequests/imaging"
)

// Columns are what a reader of image requests needs of them, by the names of the tables' columns. What the rules need for that, and
// what tells rows apart, is always read. A nil *Columns needs all.
type Columns struct {
	ImageRequest []string
	Version      []string // none, with Provider false: no version is looked at
	Provider     bool     // of a version's provider, more than its number

	picks sync.Map // *picked by purpose
}

// Only is the store whose reads of image requests and versions fill no more than these columns. The columns must not change
// afterwards.
func (s *Store) Only(c *Columns) *Store {
	narrow := *s
	narrow.columns = c
	return &narrow
}

// picked is how the columns are read.
type picked struct {
	request  []columnOf[imaging.ImageRequest]
	version  []columnOf[imaging.Version] // none: without versions
	provider []columnOf[imaging.Provider]
	list     string // of them all, as SQL selects them
}

// purpose is what is read: a list of a table by an order, or, if it is zero, what has certain ids.
type purpose struct {
	table string
	order imaging.OrderField
}

// guarded are the columns that imaging.Redact takes out for those who may not read them. It must know whose the request is, and
// what is made where. Without that it takes them out for all.
var guarded = []string{
	"shared_with", "ip_address", "sys", "exclude", "decided_by", "decided_at", "decision", "questioned_by", "questioned_at", "question",
	"answered_at", "answer", "excluded", "failure_code", "failure_message", "failure_detail", "failure_retryable",
}

// pick adds what is read for each purpose: ids where they are looked for, places in a list for its cursors, places of versions.
func (c *Columns) pick(of purpose) *picked {
	if c == nil {
		return all()
	}
	if known, ok := c.picks.Load(of); ok {
		return known.(*picked)
	}
	request, version := append([]string{"id"}, c.ImageRequest...), append([]string{"ordinal"}, c.Version...)
	switch of.table {
	case requestTable:
		request = append(request, orderColumns(of.order)...)
	case versionTable:
		version = append(version, orderColumns(of.order)...)
	default:
		version = append(version, "id")
	}
	if slices.ContainsFunc(guarded, func(column string) bool {
		return slices.Contains(c.ImageRequest, column) || slices.Contains(c.Version, column)
	}) {
		request, version = append(request, "created_by"), append(version, "status", "provider_id")
	}
	p := &picked{request: only(requestColumns, request)}
	if len(c.Version) > 0 || c.Provider {
		p.version = only(versionColumns, version)
	}
	if c.Provider {
		p.provider = providerColumns
	}
	p.named()
	known, _ := c.picks.LoadOrStore(of, p)
	return known.(*picked)
}

var all = sync.OnceValue(func() *picked {
	p := &picked{request: requestColumns, version: versionColumns, provider: providerColumns}
	p.named()
	return p
})

func (p *picked) named() {
	names := namesOf(requestTable, p.request)
	names = append(names, namesOf(versionTable, p.version)...)
	names = append(names, namesOf("provider", p.provider)...)
	p.list = strings.Join(names, ", ")
}

func namesOf[T any](table string, columns []columnOf[T]) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = table + "." + c.name
	}
	return names
}
