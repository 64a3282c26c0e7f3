package rest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"imagerequests/imaging"
	"imagerequests/render"
)

type member struct{ seed, ours string }

// members are the fields that can be sent, in the order in which their errors are told, by imaging's names.
var members = []member{
	{"name", "name"},
	{"instance", "instance"},
	{"provider", "provider"},
	{"description", "description"},
	{"software", "software"},
	{"sys", "sys"},
	{"exclude", "exclude"},
	{"tags", "tags"},
	{"vis", "visibility"},
	{"shared_with", "sharedWith"},
	{"ip_address", "ipAddress"},
	{"idempotency_key", "idempotencyKey"}, // the header
}

// words turns the enum values in imaging's messages into what is written here.
var words = strings.NewReplacer("visibility USERS", "vis select", "visibility PRIVATE", "vis private")

// request answers POST on the collection: it asks for an image, and answers the item with a 200, as documented.
func (x *exchange) request() ([]byte, error) {
	body, err := x.fields()
	if err != nil {
		return nil, err
	}
	done, err := x.Turns.Take(x.r.Context())
	if err != nil {
		return nil, err
	}
	defer done()
	s := submission{body: body}
	in := s.read()
	s.key(&in, x.r.Header.Values("Idempotency-Key"))
	if len(s.problems) > 0 {
		return nil, x.all(&s, &in)
	}
	v, err := x.Store.RequestImage(x.r.Context(), x.actor, in)
	if err != nil {
		return nil, s.renamed(err)
	}
	id := v.ImageRequest.ID.String()
	x.w.Header().Set("Location", x.base(x.r)+x.Prefix+collectionPath+"/"+id)
	return appendItem(render.Buffer(), v.ImageRequest), nil
}

// all tells, beside what could not be read, what is wrong with the rest of the input.
func (x *exchange) all(s *submission, in *imaging.RequestImageInput) error {
	more, err := x.Store.Refusals(x.r.Context(), x.actor, *in)
	if err != nil {
		return err
	}
	told := s.problems
	for _, e := range more {
		if e.Field = s.name(e.Field); !told.On(e.Field) {
			s.problems = append(s.problems, e)
		}
	}
	return s.sorted(s.problems)
}

// submission reads the documented fields out of a body. What cannot be read is noted, and all of it is told at once.
type submission struct {
	body     map[string]any
	problems imaging.Problems
	visUsers bool // the users are named in vis itself
}

func (s *submission) read() imaging.RequestImageInput {
	var in imaging.RequestImageInput
	named := s.text("name", false, &in.Name)
	if v, ok := s.value("instance", true); ok {
		text, _ := v.(string)
		if in.Instance, ok = parseID(text); !ok {
			s.wrong("instance", "Must be a valid UUID.")
		}
	}
	if !named { // the documented example has no name
		in.Name = "Image of " + in.Instance.String()
	}
	in.Provider = s.integer("provider")
	s.text("description", true, &in.Description)
	s.text("software", true, &in.Software)
	s.text("sys", false, &in.Sys)
	s.text("exclude", true, &in.Exclude)
	if v, ok := s.value("tags", true); ok {
		if text, ok := v.(string); ok {
			in.Tags = split(text)
		} else {
			in.Tags = s.list("tags", v, imaging.MaxTags)
		}
	}
	s.visibility(&in)
	if v, given := s.body["ip_address"]; given && v != nil {
		in.IPAddress = new(string)
		s.text("ip_address", false, in.IPAddress)
	}
	return in
}

// visibility reads vis, which is a word or the list of those users that may see the image, and shared_with.
func (s *submission) visibility(in *imaging.RequestImageInput) {
	if v, ok := s.value("shared_with", false); ok {
		in.SharedWith = s.list("shared_with", v, imaging.MaxShared)
	}
	v, ok := s.value("vis", true)
	if !ok {
		return
	}
	word, isWord := text(v)
	switch {
	case word == "public":
		in.Visibility = imaging.Public
	case word == "private":
		in.Visibility = imaging.Private
	case word == "select":
		in.Visibility = imaging.Users
	case isWord:
		s.wrong("vis", `"%s" is not a valid choice.`, word)
	case typeName(v) == "bool":
		s.wrong("vis", `"%s" is not a valid choice.`, map[any]string{true: "True", false: "False"}[v])
	default:
		s.visUsers, in.Visibility = true, imaging.Users
		if len(in.SharedWith) > 0 {
			s.wrong("shared_with", "Name the users either here or in vis.")
		}
		in.SharedWith = s.list("vis", v, imaging.MaxShared)
	}
}

// value is what was sent for a field; false if it is missing or null, which is noted where it matters.
func (s *submission) value(field string, required bool) (v any, ok bool) {
	v, given := s.body[field]
	switch {
	case !given && required:
		s.wrong(field, "This field is required.")
	case given && v == nil:
		s.wrong(field, "This field may not be null.")
	}
	return v, v != nil
}

// text reads a text field into to and tells whether there is one.
func (s *submission) text(field string, required bool, to *string) (given bool) {
	v, ok := s.value(field, required)
	if !ok {
		_, given := s.body[field]
		return given
	}
	if *to, ok = text(v); !ok {
		s.wrong(field, "Not a valid string.")
	}
	return true
}

// text takes a text, and a number as its digits; nothing else.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// integers have at most this form; the framework takes 1.0 for 1.
var integers = regexp.MustCompile(`^\s*([+-]?[0-9]+)(\.0*)?\s*$`)

func (s *submission) integer(field string) int {
	v, ok := s.value(field, true)
	if !ok {
		return 0
	}
	digits, _ := text(v)
	if f, err := strconv.ParseFloat(digits, 64); err == nil && strings.ContainsAny(digits, "eE") && typeName(v) == "float" {
		digits = strconv.FormatFloat(f, 'f', -1, 64) // 1e2, which as a text is no integer
	}
	parts := integers.FindStringSubmatch(digits)
	if parts == nil {
		s.wrong(field, "A valid integer is required.")
		return 0
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil {
		s.wrong(field, "There is no provider of that number.")
	}
	return n
}

// list reads a list of texts. An element that is no text is noted, and stands as one that has nothing else wrong.
func (s *submission) list(field string, v any, most int) []string {
	elements, ok := v.([]any)
	if !ok {
		s.wrong(field, `Expected a list of items but got type "%s".`, typeName(v))
		return nil
	}
	if len(elements) > most { // looked at first, so that the answer to a long list is short
		s.wrong(field, "Ensure this field has no more than %d elements.", most)
		return nil
	}
	texts := make([]string, len(elements))
	for i, e := range elements {
		if texts[i], ok = text(e); ok {
			continue
		}
		texts[i] = "x"
		at := fmt.Sprintf("%s.%d", field, i)
		if e == nil {
			s.wrong(at, "This field may not be null.")
		} else {
			s.wrong(at, "Not a valid string.")
		}
	}
	return texts
}

// split takes a comma text apart.
func split(text string) []string {
	parts := []string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// key takes the idempotency key from its header.
func (s *submission) key(in *imaging.RequestImageInput, header []string) {
	switch len(header) {
	case 0:
	case 1:
		in.IdempotencyKey = &header[0]
	default:
		s.wrong("idempotency_key", "Send one Idempotency-Key header.")
	}
}

func (s *submission) wrong(field, format string, args ...any) {
	s.problems = append(s.problems, wrong(field, format, args...))
}

// renamed says in the words of this door what the store said.
func (s *submission) renamed(err error) error {
	err = renamed(err, s.name)
	var p imaging.Problems
	if errors.As(err, &p) {
		return s.sorted(p)
	}
	return err
}

func (s *submission) sorted(p imaging.Problems) imaging.Problems {
	slices.SortStableFunc(p, func(a, b *imaging.Error) int { return cmp.Compare(place(a.Field), place(b.Field)) })
	for _, e := range p {
		e.Message = words.Replace(e.Message)
	}
	return p
}

// name is the documented name of a field of imaging's; "" if there is none.
func (s *submission) name(field string) string {
	head, element, nested := strings.Cut(field, ".")
	if head == "sharedWith" && s.visUsers {
		head = "visibility"
	}
	for _, m := range members {
		if m.ours == head && nested {
			return m.seed + "." + element
		} else if m.ours == head {
			return m.seed
		}
	}
	return ""
}

// place is where the errors of a field stand among all; those of its elements stand in their order.
func place(field string) int {
	head, element, _ := strings.Cut(field, ".")
	i := slices.IndexFunc(members, func(m member) bool { return m.seed == head })
	n, _ := strconv.Atoi(element)
	return i<<20 + n
}
