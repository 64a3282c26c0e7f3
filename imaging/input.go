package imaging

import (
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// elsewhere finds an address that leads away from the page that shows it.
var elsewhere = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z0-9+.-]*:|[/\\]{2})`)

// Work is what every version needs to be told: what to image, where, and what the reviewer should know.
type Work struct {
	Instance  uuid.UUID // the nil UUID stands for a malformed one
	Provider  int
	Software  string
	Sys       string
	Exclude   string
	IPAddress *string
	ChangeLog string
}

// RequestImageInput is what is needed to ask for an image. As JSON, by which an idempotency key knows it again, a list left
// out is the same as an empty one: one door sends the former where the other sends the latter.
type RequestImageInput struct {
	Name string
	Work
	Description    string
	Tags           []string `json:",omitempty"`
	Visibility     Visibility
	SharedWith     []string `json:",omitempty"`
	IdempotencyKey *string  `json:"-"`
}

// Problems lists all that is wrong with the input by itself, whatever the state of the world: INVALID, by field.
func (in *RequestImageInput) Problems(a Actor) Problems {
	var p Problems
	p.line("name", strings.TrimSpace(in.Name), MaxName)
	p.work(&in.Work)
	p.text("description", in.Description, MaxText)
	p.tags(in.Tags, a, nil)
	p.shared(in.Visibility, in.SharedWith)
	p.key("idempotencyKey", in.IdempotencyKey)
	return p
}

// RequestVersionInput is what is needed to ask for one more version of an image request.
type RequestVersionInput struct {
	ImageRequest uuid.UUID
	Work
	Version        *string // the label; nil: the next number
	IdempotencyKey *string `json:"-"`
}

// Problems lists all that is wrong with the input by itself: INVALID, by field.
func (in *RequestVersionInput) Problems() Problems {
	var p Problems
	p.work(&in.Work)
	if in.Version != nil {
		p.oneLine("version", strings.TrimSpace(*in.Version), MaxLabel)
	}
	p.key("idempotencyKey", in.IdempotencyKey)
	return p
}

func (p *Problems) work(w *Work) {
	p.id("instance", w.Instance)
	p.text("software", w.Software, MaxText)
	p.text("sys", w.Sys, MaxText)
	p.text("exclude", w.Exclude, MaxText)
	if w.IPAddress != nil {
		p.text("ipAddress", *w.IPAddress, MaxAddress)
	}
	p.text("changeLog", w.ChangeLog, MaxText)
}

// ProviderProblem checks the named provider: it must be there (nil: it is not) and active.
func ProviderProblem(number int, provider *Provider) Problems {
	var p Problems
	switch {
	case provider == nil:
		p.add("provider", "There is no provider %d.", number)
	case !provider.Active:
		p.add("provider", "Provider %d takes no new requests.", number)
	}
	return p
}

// Set is a change that may be absent: a field that was not named is left as it is, even where nil has a meaning.
type Set[T any] struct {
	Named bool
	To    T
}

// SetTo is a change that was named.
func SetTo[T any](v T) Set[T] { return Set[T]{Named: true, To: v} }

// EditImageRequestInput is what to change in an image request; nil and unnamed fields stay.
type EditImageRequestInput struct {
	ImageRequest uuid.UUID
	Revision     *int
	Name         *string
	Icon         Set[*string]
	Description  *string
	Tags         []string // nil: stays
	Visibility   *Visibility
	SharedWith   []string // nil: stays
	EndDate      Set[*time.Time]
}

// problems lists all that is wrong with the edit of r, which is as it was before.
func (in *EditImageRequestInput) problems(a Actor, r *ImageRequest, v Visibility, users []string) Problems {
	var p Problems
	if in.Name != nil {
		p.line("name", strings.TrimSpace(*in.Name), MaxName)
	}
	if in.Icon.To != nil {
		p.line("icon", *in.Icon.To, MaxIcon)
		if !p.On("icon") && elsewhere.MatchString(*in.Icon.To) {
			p.add("icon", "Give a relative path, without a scheme or a host.")
		}
	}
	if in.Description != nil {
		p.text("description", *in.Description, MaxText)
	}
	p.tags(in.Tags, a, r.Tags)
	p.shared(v, users)
	p.end(in.EndDate.To, r.StartDate)
	return p
}

// end checks when something that began at start is to end.
func (p *Problems) end(end *time.Time, start time.Time) {
	p.moment("endDate", end)
	if end != nil && end.Before(start) && !p.On("endDate") {
		p.add("endDate", "The end cannot lie before the start.")
	}
}

// SaveProviderInput is what to change in a provider, or to say of a new one; nil fields stay.
type SaveProviderInput struct {
	ID          int
	Name        *string
	Active      *bool
	AutoApprove *bool
}

// Apply changes the provider, a new one if p is nil. INVALID by field.
func (in *SaveProviderInput) Apply(p *Provider) (*Provider, error) {
	var problems Problems
	problems.number("id", in.ID)
	if in.Name != nil {
		problems.line("name", *in.Name, MaxName)
	} else if p == nil {
		problems.add("name", "This field is required.")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	out := Provider{ID: in.ID, Active: true}
	if p != nil {
		out = *p
	}
	if in.Name != nil {
		out.Name = strings.TrimSpace(*in.Name)
	}
	set(&out.Active, in.Active)
	set(&out.AutoApprove, in.AutoApprove)
	return &out, nil
}

func set[T any](to *T, v *T) {
	if v != nil {
		*to = *v
	}
}
