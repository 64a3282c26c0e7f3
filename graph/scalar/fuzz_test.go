package scalar

import (
	"encoding/json"
	"testing"
	"time"
)

// FuzzScalars reads any text as a time and as an id: what is read is written so that it is read again as the same.
func FuzzScalars(f *testing.F) {
	for _, text := range []string{"", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789+23:59", "0000-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "2026-02-30T00:00:00Z", "{bdc31c14-f807-11e3-8ef5-b2227cce2b54}", "urn:uuid:bdc31c14-f807-11e3-8ef5-b2227cce2b54", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if moment, err := UnmarshalDateTime(text); err == nil && moment.UTC().Year() >= 0 && moment.UTC().Year() <= 9999 {
			var out string
			if err := json.Unmarshal([]byte(written(MarshalDateTime(moment))), &out); err != nil {
				t.Fatal(err)
			}
			again, err := UnmarshalDateTime(out)
			if err != nil || !again.Equal(moment) || moment.Nanosecond()%int(time.Microsecond) != 0 {
				t.Errorf("%q is %v, written %q, read as %v, %v", text, moment, out, again, err)
			}
		}
		id, err := UnmarshalID(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		var out string
		if err := json.Unmarshal([]byte(written(MarshalID(id))), &out); err != nil {
			t.Fatal(err)
		}
		if again, err := UnmarshalID(out); err != nil || again != id {
			t.Errorf("%q is %v, written %q, read as %v, %v", text, id, out, again, err)
		}
		if _, err := UnmarshalInt(text); err == nil {
			t.Errorf("the text %q is a number", text)
		}
	})
}
