package imaging

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// FieldChange is one field of an event, for a list.
type FieldChange struct {
	Field string
	From  string // JSON
	To    string // JSON
}

// FieldChanges are the changes in the order of their fields' names.
func (e *Event) FieldChanges() []*FieldChange {
	list := make([]*FieldChange, 0, len(e.Changes))
	for field, change := range e.Changes {
		list = append(list, &FieldChange{Field: field, From: text(change.From), To: text(change.To)})
	}
	slices.SortFunc(list, func(a, b *FieldChange) int { return strings.Compare(a.Field, b.Field) })
	return list
}

func text(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "null"
	}
	return string(raw)
}

// HistoryEntry is a sentence of a request's history.
type HistoryEntry struct {
	At   time.Time
	Text string
}

// sentences say what each action is to a person. The actor comes before, what was said behind.
var sentences = map[Action]string{
	Requested:        "asked for this image",
	VersionRequested: "asked for a new version",
	Edited:           "changed the request",
	VersionEdited:    "changed the version",
	Transferred:      "gave the request to another owner",
	AutoApproved:     "approved the version, as its provider always does",
	Approve:          "approved the version",
	Deny:             "refused the version",
	Question:         "asked the owner a question",
	Answer:           "answered the question",
	Resubmit:         "brought the version before a reviewer again",
	Cancel:           "withdrew the version",
	AskStop:          "asked for the imaging to be stopped",
	Retry:            "let the version be imaged once more",
	Claim:            "began to make the image",
	Report:           "told how far the imaging is",
	Complete:         "made the image",
	Fail:             "could not make the image",
	Obey:             "stopped the imaging, as the owner wanted",
	Release:          "gave the version back into the queue",
	Abandon:          "ended the imaging: the worker was gone, and the owner had wanted it stopped",
	Expire:           "put the version back into the queue: the worker was gone",
	GiveUp:           "gave the version up: the worker was gone once more",
}

// Tell says the event in a sentence.
func (e *Event) Tell() *HistoryEntry {
	actor, said := e.Actor, ""
	if actor == "" {
		actor = "The service"
	}
	if e.Message != nil {
		said = ": " + *e.Message
	}
	var changed []string
	for _, c := range e.FieldChanges() {
		ours := c.Field == "version.answeredAt" || c.Field == "version.authors" // which come with the others
		if !ours && (e.Action == Edited || e.Action == VersionEdited || e.Action == Transferred) {
			changed = append(changed, strings.TrimPrefix(c.Field, "version."))
		}
		if e.Action == Report && (c.Field == "version.stage" || c.Field == "version.percent") {
			changed = append(changed, strings.TrimPrefix(c.Field, "version.")+" "+c.To)
		}
	}
	what := sentences[e.Action]
	if len(changed) > 0 {
		what += fmt.Sprintf(" (%s)", strings.Join(changed, ", "))
	}
	return &HistoryEntry{At: e.At, Text: sentence(actor + " " + what + said)}
}

// sentence ends a text with a full stop, unless what was said has ended it.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}
