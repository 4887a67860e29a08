package policy

import (
	"fmt"
	"strings"
)

// parse compiles an expression of the rule language: "role:admin or
// (project_id:%(project_id)s and not rule:locked)". "" and "@" admit everybody,
// "!" nobody.
func parse(text string) (check, error) {
	p := &parser{tokens: tokenize(text)}
	if len(p.tokens) == 0 {
		return always(true), nil
	}
	c, err := p.or()
	if err != nil {
		return nil, fmt.Errorf("rule %q: %w", text, err)
	}
	if p.i < len(p.tokens) {
		return nil, fmt.Errorf("rule %q: unexpected %q", text, p.tokens[p.i])
	}
	return c, nil
}

// tokenize splits at blanks and sets parentheses apart, except those that are part
// of a %(name)s.
func tokenize(text string) []string {
	var out []string
	for _, word := range strings.Fields(text) {
		for strings.HasPrefix(word, "(") {
			out = append(out, "(")
			word = word[1:]
		}
		closing := 0
		for strings.HasSuffix(word, ")") {
			closing++
			word = word[:len(word)-1]
		}
		if word != "" {
			out = append(out, word)
		}
		for range closing {
			out = append(out, ")")
		}
	}
	return out
}

// maxDepth bounds the nesting of parentheses and of not.
const maxDepth = 100

type parser struct {
	tokens []string
	i      int
	depth  int
}

func (p *parser) peek() string {
	if p.i < len(p.tokens) {
		return strings.ToLower(p.tokens[p.i])
	}
	return ""
}

func (p *parser) or() (check, error) {
	return p.sequence("or", p.and, func(list []check) check { return anyOf(list) })
}

func (p *parser) and() (check, error) {
	return p.sequence("and", p.unary, func(list []check) check { return allOf(list) })
}

func (p *parser) sequence(word string, next func() (check, error), join func([]check) check) (check, error) {
	first, err := next()
	if err != nil {
		return nil, err
	}
	list := []check{first}
	for p.peek() == word {
		p.i++
		c, err := next()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	if len(list) == 1 {
		return first, nil
	}
	return join(list), nil
}

func (p *parser) unary() (check, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("nested too deeply")
	}
	defer func() { p.depth-- }()
	switch p.peek() {
	case "":
		return nil, fmt.Errorf("ends too early")
	case "not":
		p.i++
		c, err := p.unary()
		if err != nil {
			return nil, err
		}
		return not{c}, nil
	case "(":
		p.i++
		c, err := p.or()
		if err != nil {
			return nil, err
		}
		if p.peek() != ")" {
			return nil, fmt.Errorf("a parenthesis is not closed")
		}
		p.i++
		return c, nil
	}
	word := p.tokens[p.i]
	p.i++
	return atom(word)
}

// atom compiles what holds no operators.
func atom(word string) (check, error) {
	switch word {
	case "@":
		return always(true), nil
	case "!":
		return always(false), nil
	}
	kind, match, ok := strings.Cut(word, ":")
	if !ok || kind == "" {
		return nil, fmt.Errorf("%q is not of the form kind:match", word)
	}
	switch kind {
	case "role":
		return newRole(match)
	case "rule":
		return &reference{name: match}, nil
	case "field":
		return newField(match)
	case "http", "https":
		return nil, fmt.Errorf("%s: weft asks no other server", word)
	}
	return compare(kind, match)
}
