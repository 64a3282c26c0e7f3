package db

import (
	"context"

	"github.com/uptrace/bun"
)

// KnowsLetters tells whether the database knows letters other than ASCII's, as its LC_CTYPE says once and for all. If it does not,
// searches find the same, but the index cannot help with words that consist of such letters. UNAVAILABLE without the database.
func (s *Store) KnowsLetters(ctx context.Context) (knows bool, err error) {
	var schema string // of the extension; it need not be on the search path
	err = s.db.NewRaw("SELECT nspname FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'pg_trgm'").Scan(ctx, &schema)
	if err == nil {
		err = s.db.NewRaw("SELECT ?.show_trgm('ж') <> '{}'", bun.Ident(schema)).Scan(ctx, &knows)
	}
	return knows, s.translate(err)
}
