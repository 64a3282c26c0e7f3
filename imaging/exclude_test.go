package imaging

import (
	"path"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestExcludePaths(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, note string
		want       []string
	}{
		{"nothing", "", nil},
		{"the documented prose", "I do not need any files excluded from the image.", nil},
		{"one path", "/home/ann/.ssh", []string{"/home/ann/.ssh"}},
		{"several lines", "/b\n\n/a\nand this:\n/c", []string{"/b", "/a", "/c"}},
		{"a path with blanks within", "/home/ann/my files", []string{"/home/ann/my files"}},
		{"blanks around", "  /a  \n\t/b\t", []string{"/a", "/b"}},
		{"Windows line ends", "/a\r\n/b\r\n", []string{"/a", "/b"}},
		{"line ends of old", "/a\r/b", []string{"/a", "/b"}},
		{"cleaned", "//a//./b/", []string{"/a/b"}},
		{"a glob for every folder", "*.pem\nid_?sa\n[a-c].key", []string{"*.pem", "id_?sa", "[a-c].key"}},
		{"hidden files in every folder", ".*", []string{".*"}},
		{"a glob below a path", "/home/*/.aws\n**/*.key\n/data/**", []string{"/home/*/.aws", "**/*.key", "/data/**"}},
		{"a glob in a sentence", "Please drop *.pem files", nil},
		{"a glob in a sentence, without a common blank", "drop\u00a0*.pem\ndrop\v*.pem", nil},
		{"a bullet list", "* /etc/passwd\n- /etc/shadow", nil},
		{"a relative path", "etc/passwd\n./x\nword", nil},
		{"a home of nobody named", "~/.ssh/*\n~ann/*", nil},
		{"a glob that is none", "[", nil},
		{"the root", "/\n//\n/.\n/./\n ///\t", nil},
		{"everything", "*\n/*\n**\n/**/\n*/*\n./*\n/*/*\n?*\n/?*\n*?", nil},
		{"upwards", "..\n/..\n/a/../b\n/a/..\n../*.pem\n*/../x", nil},
		{"dots that do not climb", "/..a\n/a..\n/...\n/a/.b", []string{"/..a", "/a..", "/...", "/a/.b"}},
		{"a name that ends in a blank", "/a /\n/ /", nil},
		{"NUL", "/a\x00b\n/c", []string{"/c"}},
		{"a tab within", "/a\t/b", nil},
		{"other control characters", "/a\x1b[2J\n/b\x7f\n*\u0085x", nil},
		{"repeated", "/a\n/a/", []string{"/a", "/a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			want := test.want
			if want == nil {
				want = []string{}
			}
			if diff := cmp.Diff(want, ExcludePaths(test.note)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestVersionExcludePaths: an empty note has no paths; a note that may not be read is not an empty one.
func TestVersionExcludePaths(t *testing.T) {
	t.Parallel()
	if got := (&Version{Exclude: new("")}).ExcludePaths(); got == nil || len(got) != 0 {
		t.Errorf("an empty note: %#v", got)
	}
	if got := (&Version{}).ExcludePaths(); got != nil {
		t.Errorf("an unreadable note: %#v", got)
	}
	if diff := cmp.Diff([]string{"/a"}, (&Version{Exclude: new("/a")}).ExcludePaths()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzExcludePaths(f *testing.F) {
	for _, note := range []string{
		"I do not need any files excluded from the image.", "/a\n/b c\r\n*.pem", "/", "//", "/*", "*", "/..", "/a/../b", "/a /", "/ /", "./~/*",
		"*\u00a0x", "/a\r/b\x00", "[", "?*/*", "/a\t\n\xff/*", ".*", "\u2028/a", "/a\u0085",
	} {
		f.Add(note)
	}
	f.Fuzz(func(t *testing.T, note string) {
		paths := ExcludePaths(note)
		for _, p := range paths {
			absolute := strings.HasPrefix(p, "/")
			switch {
			case p != path.Clean(p):
				t.Errorf("%q is not clean", p)
			case strings.Trim(p, "/*?") == "":
				t.Errorf("%q is the root or all that is in it", p)
			case strings.Contains("/"+p+"/", "/../"):
				t.Errorf("%q climbs", p)
			case strings.ContainsFunc(p, unicode.IsControl) || p != strings.TrimSpace(p):
				t.Errorf("%q holds what a line cannot", p)
			case !absolute && (!strings.ContainsAny(p, "*?[") || strings.ContainsFunc(p, unicode.IsSpace)):
				t.Errorf("%q is neither an absolute path nor a glob", p)
			}
		}
		if diff := cmp.Diff(paths, ExcludePaths(strings.Join(paths, "\n"))); diff != "" {
			t.Errorf("what was understood is understood otherwise when shown back (-once +twice):\n%s", diff)
		}
	})
}
