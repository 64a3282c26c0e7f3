package db

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// columnOf is how a column of a table gets into its struct. Bun could do this by reflection; lists spend most of their time here.
type columnOf[T any] struct {
	name string
	set  func(to *T, from *cells)
}

var requestColumns = []columnOf[imaging.ImageRequest]{
	{"id", func(r *imaging.ImageRequest, c *cells) { r.ID = c.id() }},
	{"name", func(r *imaging.ImageRequest, c *cells) { r.Name = c.text() }},
	{"icon", func(r *imaging.ImageRequest, c *cells) { r.Icon = orNil(c, c.text) }},
	{"description", func(r *imaging.ImageRequest, c *cells) { r.Description = c.text() }},
	{"tags", func(r *imaging.ImageRequest, c *cells) { r.Tags = c.texts() }},
	{"created_by", func(r *imaging.ImageRequest, c *cells) { r.CreatedBy = c.text() }},
	{"visibility", func(r *imaging.ImageRequest, c *cells) { r.Visibility = imaging.Visibility(c.text()) }},
	{"shared_with", func(r *imaging.ImageRequest, c *cells) { r.SharedWith = c.texts() }},
	{"start_date", func(r *imaging.ImageRequest, c *cells) { r.StartDate = c.time() }},
	{"end_date", func(r *imaging.ImageRequest, c *cells) { r.EndDate = orNil(c, c.time) }},
	{"revision", func(r *imaging.ImageRequest, c *cells) { r.Revision = c.number() }},
	{"reports", func(r *imaging.ImageRequest, c *cells) { r.Reports = c.number() }},
	{"shared_since", func(r *imaging.ImageRequest, c *cells) { r.SharedSince = c.number() }},
	{"status", func(r *imaging.ImageRequest, c *cells) { r.Status = imaging.Status(c.text()) }},
	{"instance", func(r *imaging.ImageRequest, c *cells) { r.Instance = c.id() }},
	{"provider_id", func(r *imaging.ImageRequest, c *cells) { r.ProviderID = c.number() }},
	{"search_text", func(r *imaging.ImageRequest, c *cells) { r.SearchText = c.text() }},
}

var versionColumns = []columnOf[imaging.Version]{
	{"id", func(v *imaging.Version, c *cells) { v.ID = c.id() }},
	{"image_request_id", func(v *imaging.Version, c *cells) { v.ImageRequestID = c.id() }},
	{"ordinal", func(v *imaging.Version, c *cells) { v.Ordinal = c.number() }},
	{"alias", func(v *imaging.Version, c *cells) { v.Alias = c.text() }},
	{"version", func(v *imaging.Version, c *cells) { v.Version = c.text() }},
	{"change_log", func(v *imaging.Version, c *cells) { v.ChangeLog = c.text() }},
	{"instance", func(v *imaging.Version, c *cells) { v.Instance = c.id() }},
	{"ip_address", func(v *imaging.Version, c *cells) { v.IPAddress = orNil(c, c.text) }},
	{"provider_id", func(v *imaging.Version, c *cells) { v.ProviderID = c.number() }},
	{"software", func(v *imaging.Version, c *cells) { v.Software = c.text() }},
	{"sys", func(v *imaging.Version, c *cells) { v.Sys = orNil(c, c.text) }},
	{"exclude", func(v *imaging.Version, c *cells) { v.Exclude = orNil(c, c.text) }},
	{"requested_by", func(v *imaging.Version, c *cells) { v.RequestedBy = c.text() }},
	{"authors", func(v *imaging.Version, c *cells) { v.Authors = c.texts() }},
	{"start_date", func(v *imaging.Version, c *cells) { v.StartDate = c.time() }},
	{"end_date", func(v *imaging.Version, c *cells) { v.EndDate = orNil(c, c.time) }},
	{"status", func(v *imaging.Version, c *cells) { v.Status = imaging.Status(c.text()) }},
	{"name", func(v *imaging.Version, c *cells) { v.Name = c.text() }},
	{"visibility", func(v *imaging.Version, c *cells) { v.Visibility = imaging.Visibility(c.text()) }},
	{"decided_by", func(v *imaging.Version, c *cells) { v.DecidedBy = orNil(c, c.text) }},
	{"decided_at", func(v *imaging.Version, c *cells) { v.DecidedAt = orNil(c, c.time) }},
	{"decision", func(v *imaging.Version, c *cells) { v.DecisionMessage = orNil(c, c.text) }},
	{"questioned_by", func(v *imaging.Version, c *cells) { v.QuestionedBy = orNil(c, c.text) }},
	{"questioned_at", func(v *imaging.Version, c *cells) { v.QuestionedAt = orNil(c, c.time) }},
	{"question", func(v *imaging.Version, c *cells) { v.QuestionText = orNil(c, c.text) }},
	{"answered_at", func(v *imaging.Version, c *cells) { v.AnsweredAt = orNil(c, c.time) }},
	{"answer", func(v *imaging.Version, c *cells) { v.AnswerText = orNil(c, c.text) }},
	{"attempt", func(v *imaging.Version, c *cells) { v.Attempt = c.number() }},
	{"stage", func(v *imaging.Version, c *cells) { v.Stage = orNil(c, c.text) }},
	{"percent", func(v *imaging.Version, c *cells) { v.Percent = orNil(c, c.number) }},
	{"cancel_requested", func(v *imaging.Version, c *cells) { v.CancelRequested = c.truth() }},
	{"excluded", func(v *imaging.Version, c *cells) { v.Excluded = c.texts() }},
	{"imaging_started", func(v *imaging.Version, c *cells) { v.ImagingStarted = orNil(c, c.time) }},
	{"imaging_ended", func(v *imaging.Version, c *cells) { v.ImagingEnded = orNil(c, c.time) }},
	{"lease_token", func(v *imaging.Version, c *cells) { v.LeaseToken = orNil(c, c.id) }},
	{"lease_holder", func(v *imaging.Version, c *cells) { v.LeaseHolder = orNil(c, c.text) }},
	{"lease_seconds", func(v *imaging.Version, c *cells) { v.LeaseSeconds = orNil(c, c.number) }},
	{"lease_expires_at", func(v *imaging.Version, c *cells) { v.LeaseExpiresAt = orNil(c, c.time) }},
	{"ended_lease", func(v *imaging.Version, c *cells) { v.EndedLease = orNil(c, c.id) }},
	{"failure_code", func(v *imaging.Version, c *cells) { v.FailureCode = orNil(c, c.text) }},
	{"failure_message", func(v *imaging.Version, c *cells) { v.FailureMessage = orNil(c, c.text) }},
	{"failure_detail", func(v *imaging.Version, c *cells) { v.FailureDetail = orNil(c, c.text) }},
	{"failure_retryable", func(v *imaging.Version, c *cells) { v.FailureRetryable = orNil(c, c.truth) }},
}

var providerColumns = []columnOf[imaging.Provider]{
	{"id", func(p *imaging.Provider, c *cells) { p.ID = c.number() }},
	{"name", func(p *imaging.Provider, c *cells) { p.Name = c.text() }},
	{"active", func(p *imaging.Provider, c *cells) { p.Active = c.truth() }},
	{"auto_approve", func(p *imaging.Provider, c *cells) { p.AutoApprove = c.truth() }},
}

// only picks the columns that are named.
func only[T any](all []columnOf[T], named []string) (some []columnOf[T]) {
	for _, c := range all {
		if slices.Contains(named, c.name) {
			some = append(some, c)
		}
	}
	return some
}

// cells are the values of a row, taken from left to right: of a prepared read as Postgres sends them, in binary, and of all else
// as the driver has read them.
type cells struct {
	row    safedriver.Row
	values []driver.Value // nil: they are in row
	err    error          // the first that went wrong
}

// null tells whether the next value is null, and passes over it if so.
func (c *cells) null() bool {
	if c.values == nil {
		rest := c.row
		_, ok := rest.Next()
		if !ok {
			c.row = rest
		}
		return !ok
	}
	if c.values[0] != nil {
		return false
	}
	c.values = c.values[1:]
	return true
}

// skip passes over so many.
func (c *cells) skip(n int) {
	if c.values != nil {
		c.values = c.values[n:]
		return
	}
	for range n {
		_, _ = c.row.Next()
	}
}

func orNil[T any](c *cells, value func() T) *T {
	if c.null() {
		return nil
	}
	v := value()
	return &v
}

// as is the next value as the driver has read it.
func as[T any](c *cells) (value T) {
	v := c.values[0]
	c.values = c.values[1:]
	value, ok := v.(T)
	if !ok {
		c.fail(v, value)
	}
	return value
}

// sent is the next value as Postgres has sent it, which is to become a T.
func sent[T any](c *cells) string {
	value, ok := c.row.Next()
	if !ok {
		var wanted T
		c.fail(nil, wanted)
	}
	return value
}

func (c *cells) fail(v driver.Value, wanted any) {
	c.err = errors.Join(c.err, fmt.Errorf("the database answers %T where %T was expected", v, wanted))
}

func (c *cells) text() string {
	if c.values == nil {
		return sent[string](c)
	}
	return as[string](c)
}

func (c *cells) bytes() []byte {
	if c.values == nil {
		return []byte(sent[[]byte](c))
	}
	return as[[]byte](c)
}

func (c *cells) truth() bool {
	if c.values == nil {
		return sent[bool](c) == "\x01"
	}
	return as[bool](c)
}

func (c *cells) number() int {
	if c.values != nil {
		return int(as[int64](c))
	}
	return c.whole(sent[int](c))
}

// whole is a smallint, an int or a bigint.
func (c *cells) whole(sent string) int {
	switch len(sent) {
	case 2:
		return int(int16(bigEndian(sent))) //nolint:gosec // the bits of it
	case 4:
		return int(int32(bigEndian(sent))) //nolint:gosec // likewise
	case 8:
		return int(bigEndian(sent)) //nolint:gosec // likewise
	}
	c.fail(sent, 0)
	return 0
}

func bigEndian(sent string) (n uint64) {
	for i := range len(sent) {
		n = n<<8 | uint64(sent[i])
	}
	return n
}

// epoch is when Postgres begins to count microseconds.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// time is UTC: sessions are set to it.
func (c *cells) time() time.Time {
	if c.values == nil {
		return time.UnixMicro(epoch.UnixMicro() + int64(c.whole(sent[time.Time](c)))).UTC()
	}
	return as[time.Time](c).UTC()
}

func (c *cells) id() (id uuid.UUID) {
	if c.values == nil {
		value := sent[uuid.UUID](c)
		if copy(id[:], value); len(value) != len(id) {
			c.fail(value, id)
		}
		return id
	}
	b := as[[]byte](c)
	id, err := uuid.ParseBytes(b)
	if err != nil {
		c.fail(b, id)
	}
	return id
}

// texts reads a text[] of one dimension without NULL elements, which CHECKs see to. NULL is nil.
func (c *cells) texts() []string {
	switch {
	case c.null():
		return nil
	case c.values == nil:
		return c.elements()
	}
	b := as[[]byte](c)
	list := []string{}
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		c.fail(b, list)
		return list
	}
	for b = b[1 : len(b)-1]; len(b) > 0; {
		var element string
		element, b = textElement(b)
		list = append(list, element)
	}
	return list
}

// elements are those of an array as Postgres sends it: how many dimensions, whether there are NULLs, the type; of the dimension
// its size and where it starts; and each like a value of a row.
func (c *cells) elements() []string {
	value := sent[[]string](c)
	const head, dimension = 12, 8
	if len(value) == head && bigEndian(value[:4]) == 0 {
		return []string{}
	}
	if len(value) < head+dimension || bigEndian(value[:4]) != 1 {
		c.fail(value, []string(nil))
		return []string{}
	}
	list := make([]string, 0, min(bigEndian(value[head:head+4]), uint64(len(value))))
	for rest := safedriver.Row(value[head+dimension:]); len(rest) > 0; {
		element, _ := rest.Next()
		list = append(list, element)
	}
	return list
}

// numbers reads an int[] of a prepared read, likewise.
func (c *cells) numbers() (list []int) {
	if c.null() {
		return nil
	}
	for _, sent := range c.elements() {
		list = append(list, c.whole(sent))
	}
	return list
}

// textElement takes the first element off the inside of an array, with the comma behind it. An element is quoted if it holds
// anything special, with a backslash before each quote and backslash.
func textElement(b []byte) (element string, rest []byte) {
	if b[0] != '"' {
		plain, rest, _ := bytes.Cut(b, []byte{','})
		return string(plain), rest
	}
	var text strings.Builder
	i := 1
	for ; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		text.WriteByte(b[i])
	}
	return text.String(), b[min(i+2, len(b)):]
}
