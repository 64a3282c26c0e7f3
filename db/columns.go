package db

import (
	"strings"
	"sync"

	"imagerequests/imaging"
)

// Columns are what a reader of image requests needs of them, by the names of the tables' columns. What the rules need is
// always read. A nil *Columns needs all.
type Columns struct {
	ImageRequest []string
	Version      []string // none, with Provider false: no version is looked at
	Provider     bool     // of a version's provider, more than its number

	once   sync.Once
	picked picked
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

// What the rules need: whose it is; where each version stands, and where it is made. And what lists are ordered by, for cursors.
var (
	requestNeeds = []string{"id", "created_by", "visibility", "start_date", "name", "status"}
	versionNeeds = []string{"id", "provider_id", "status", "start_date"}
)

func (c *Columns) pick() *picked {
	if c == nil {
		return all()
	}
	c.once.Do(func() {
		c.picked.request = only(requestColumns, append(c.ImageRequest, requestNeeds...))
		if len(c.Version) > 0 || c.Provider {
			c.picked.version = only(versionColumns, append(c.Version, versionNeeds...))
		}
		if c.Provider {
			c.picked.provider = providerColumns
		}
		c.picked.named()
	})
	return &c.picked
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
