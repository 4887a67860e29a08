package policy

import "fmt"

// compile compiles a rule as it stands in a policy file: text of the language, or
// the older list of lists.
func compile(v any) (c check, text string, err error) {
	switch x := v.(type) {
	case string:
		c, err = parse(x)
		return c, x, err
	case []any:
		if c, err = compileList(x); err != nil {
			return nil, "", err
		}
		return c, c.String(), nil
	case nil:
		return nil, "", fmt.Errorf(`nothing is given; write "" to admit everybody, "!" to admit nobody`)
	}
	return nil, "", fmt.Errorf("%v is neither text nor a list", v)
}

// compileList compiles [[A, B], [C]], which is "(A and B) or C". Elements may be
// checks that have not been put into a list: [A, C] is "A or C". An empty list
// admits everybody, a list of nothing but empty lists nobody.
func compileList(list []any) (check, error) {
	if len(list) == 0 {
		return always(true), nil
	}
	var parts anyOf
	for _, e := range list {
		c, err := compileAll(e)
		if err != nil {
			return nil, err
		}
		if c != nil {
			parts = append(parts, c)
		}
	}
	switch len(parts) {
	case 0:
		return always(false), nil
	case 1:
		return parts[0], nil
	}
	return parts, nil
}

// compileAll compiles [A, B], which is "A and B", or A; nil if the list is empty.
func compileAll(e any) (check, error) {
	list, ok := e.([]any)
	if !ok {
		list = []any{e}
	}
	var all allOf
	for _, v := range list {
		word, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%v is not a check", v)
		}
		c, err := atom(word)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	switch len(all) {
	case 0:
		return nil, nil
	case 1:
		return all[0], nil
	}
	return all, nil
}
