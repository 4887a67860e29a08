package policy

// outcome is the value of a check. The order makes "and" the least of the parts
// and "or" the greatest, which is Kleene's logic.
type outcome uint8

const (
	no outcome = iota
	undefined
	yes
)

func (o outcome) not() outcome { return yes - o }

func (o outcome) String() string {
	switch o {
	case yes:
		return "yes"
	case no:
		return "no"
	}
	return "undefined"
}

func decided(b bool) outcome {
	if b {
		return yes
	}
	return no
}
