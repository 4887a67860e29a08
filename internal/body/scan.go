package body

// shape is what is in a text that may be JSON, as far as it decides what decoding it
// costs. Of what is not JSON it says nothing useful, and decoding that is cheap.
type shape struct {
	depth  int // of the deepest list or object
	values int // of all kinds, keys not counted
	items  int // of the longest list that is a member of the whole
}

// scan looks at a text without decoding it.
func scan(data []byte) shape {
	s := shape{values: 1}
	depth, items, list := 0, 0, false // list: at depth 2 there is one
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			i = skipText(data, i+1)
		case '[', '{':
			depth++
			s.values++
			s.depth = max(s.depth, depth)
			if depth == 2 {
				list, items = data[i] == '[', 1
				s.items = max(s.items, items)
			}
		case ']', '}':
			depth--
		case ',':
			s.values++
			if depth == 2 && list {
				items++
				s.items = max(s.items, items)
			}
		}
	}
	return s
}

// skipText is where a text ends that begins at i.
func skipText(data []byte, i int) int {
	for ; i < len(data) && data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i
}
