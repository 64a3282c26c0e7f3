package imaging

import "bytes"

// MarkSurrogates replaces, in place, each JSON escape of a lone surrogate (\ud800 without its other half) by \u0000. The
// JSON decoder would turn it into U+FFFD without a word, so that two different inputs meet in one row; as NUL it is
// refused by the rule for its field. The text need not be valid JSON.
func MarkSurrogates(text []byte) {
	for i := 0; i < len(text); {
		next := bytes.IndexByte(text[i:], '\\')
		if next < 0 {
			return
		}
		i += next
		unit, ok := escaped(text[i:])
		switch {
		case !ok:
			i += 2 // an escape of another kind: its second character is no backslash of its own
			continue
		case 0xd800 <= unit && unit < 0xdc00:
			if low, ok := escaped(text[i+6:]); ok && 0xdc00 <= low && low < 0xe000 {
				i += 12
				continue
			}
			copy(text[i:], `\u0000`)
		case 0xdc00 <= unit && unit < 0xe000:
			copy(text[i:], `\u0000`)
		}
		i += 6
	}
}

// escaped reads a \uXXXX at the start of text.
func escaped(text []byte) (unit uint32, ok bool) {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:6] {
		switch {
		case '0' <= c && c <= '9':
			unit = unit<<4 | uint32(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			unit = unit<<4 | uint32(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return unit, true
}
