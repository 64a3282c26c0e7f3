package db

// Columns are what a reader of image requests needs of them, by the names of the tables' columns. What the rules need is
// always read. A nil *Columns needs all.
type Columns struct {
	ImageRequest []string
	Version      []string // none, with Provider false: no version is looked at
	Provider     bool     // of a version's provider, more than its number
}

// Only is the store whose reads of image requests and versions fill no more than these columns. The columns must not change
// afterwards.
func (s *Store) Only(c *Columns) *Store {
	narrow := *s
	narrow.columns = c
	return &narrow
}
