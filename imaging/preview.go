package imaging

import (
	"fmt"
	"regexp"
	"strings"
)

// Finding is something about an input that a person should know before they send it.
type Finding struct {
	Code    string
	Field   *string
	Message string
	Fix     string
}

// ImageRequestPreview is what a new request would run into.
type ImageRequestPreview struct {
	Blockers []*Finding // what requestImage would refuse it for, exactly
	Warnings []*Finding
}

// Preview words the refusals of an input, and adds what is worth a second look.
func Preview(in *RequestImageInput, refusals []*Error) *ImageRequestPreview {
	p := &ImageRequestPreview{Blockers: []*Finding{}, Warnings: []*Finding{}}
	for _, e := range refusals {
		p.Blockers = append(p.Blockers, &Finding{Code: string(e.Code), Field: optional(e.Field), Message: e.Message, Fix: fix(e)})
	}
	warn := func(field, message, fix string) {
		p.Warnings = append(p.Warnings, &Finding{Code: string(Invalid), Field: &field, Message: message, Fix: fix})
	}
	understood := ExcludePaths(in.Exclude)
	switch {
	case strings.TrimSpace(in.Exclude) == "" && in.Visibility != Private:
		warn("exclude", "Nothing is left out of an image that others can launch.", "Name the files that hold keys and secrets, such as /home/*/.ssh, one a line.")
	case strings.TrimSpace(in.Exclude) != "" && len(understood) == 0:
		warn("exclude", "No line is understood as a path, so nothing will be left out.", "Write one absolute path or glob a line, such as /root/.ssh or *.pem.")
	}
	for _, t := range [][2]string{{"description", in.Description}, {"software", in.Software}, {"sys", in.Sys}, {"changeLog", in.ChangeLog}} {
		field, text := t[0], t[1]
		if secrets.MatchString(text) {
			warn(field, "This looks as if it holds a key or a password.", "Take it out: others read this text.")
		}
	}
	if strings.TrimSpace(in.Description) == "" && in.Visibility != Private {
		warn("description", "Others will not know what the image is for.", "Describe it in a sentence or two.")
	}
	return p
}

// secrets finds what looks like a private key or a password in a text.
var secrets = regexp.MustCompile(`(?i)-----BEGIN [A-Z ]*PRIVATE KEY|\bpass(word|wd)\s*[:=]\s*\S|\bAKIA[0-9A-Z]{16}\b`)

// fix says what to do about a refusal.
func fix(e *Error) string {
	field, _, _ := strings.Cut(e.Field, ".")
	switch {
	case e.Code == Unauthenticated:
		return "Sign in with a token."
	case e.Code == Forbidden:
		return "Sign in with a token that may write."
	case e.Code == Conflict && field == "instance":
		return "Wait until the open request has ended, cancel it, or choose another instance."
	case e.Code == Conflict:
		return "Choose another value, or read the request again."
	}
	if text, ok := fixes[field]; ok {
		return text
	}
	return fmt.Sprintf("Change the field %q.", field)
}

var fixes = map[string]string{
	"name":           fmt.Sprintf("Give it a name of 1 to %d characters.", MaxName),
	"instance":       "Give the instance's UUID, as your cloud shows it.",
	"provider":       "Choose an active provider: the query providers lists them.",
	"tags":           fmt.Sprintf("Give at most %d tags of 1 to %d characters; %s is for staff.", MaxTags, MaxTag, featured),
	"visibility":     "Choose PUBLIC, PRIVATE or USERS.",
	"sharedWith":     "Name users with visibility USERS, and only then.",
	"idempotencyKey": fmt.Sprintf("Use 1 to %d printable characters.", MaxKey),
}
