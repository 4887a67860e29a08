package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// differences tells how two outcomes differ, a line each.
func differences(n, w outcome) []string {
	switch {
	case n.Unasked != "" && w.Unasked != "":
		return nil // told where it began
	case n.Unasked != "" || w.Unasked != "":
		return []string{fmt.Sprintf("request: neutron %s, weft %s", told(n), told(w))}
	case n.Status != w.Status:
		return []string{fmt.Sprintf("status: neutron %d %s, weft %d %s", n.Status, brief(n), w.Status, brief(w))}
	}
	var out []string
	for _, name := range append(slices.Clone(watched), "X-Openstack-Request-Id") {
		if n.Header[name] != w.Header[name] {
			out = append(out, fmt.Sprintf("header %s: neutron %q, weft %q", name, n.Header[name], w.Header[name]))
		}
	}
	return append(out, unlike("", n.Body, w.Body)...)
}

func told(o outcome) string {
	if o.Unasked == "" {
		return "was asked"
	}
	return o.Unasked
}

// brief is the error of a refusal, for the line on its status.
func brief(o outcome) string {
	if o.Status < 400 {
		return ""
	}
	m, _ := o.Body.(map[string]any)
	for _, v := range m {
		if e, ok := v.(map[string]any); ok && e["message"] != nil {
			return fmt.Sprintf("(%v: %v)", e["type"], e["message"])
		}
	}
	return fmt.Sprintf("(%.200s)", canonical(o.Body))
}

// unlike tells how two values differ.
func unlike(path string, n, w any) []string {
	nm, nok := n.(map[string]any)
	wm, wok := w.(map[string]any)
	if nok && wok {
		return unlikeMembers(path, nm, wm)
	}
	nl, nok := n.([]any)
	wl, wok := w.([]any)
	if nm, wm := byAlias(nl), byAlias(wl); nm != nil && wm != nil {
		return unlikeMembers(path, nm, wm)
	}
	if nok && wok {
		return unlikeLists(path, nl, wl)
	}
	if canonical(n) == canonical(w) {
		return nil
	}
	return []string{fmt.Sprintf("%s: neutron %s, weft %s", strings.TrimPrefix(path, "."), canonical(n), canonical(w))}
}

func unlikeMembers(path string, n, w map[string]any) []string {
	var out []string
	all := slices.Sorted(maps.Keys(n))
	for k := range w {
		if _, ok := n[k]; !ok {
			all = append(all, k)
		}
	}
	slices.Sort(all)
	for _, k := range all {
		at := strings.TrimPrefix(path+"."+k, ".")
		nv, inN := n[k]
		wv, inW := w[k]
		switch {
		case !inW:
			out = append(out, fmt.Sprintf("%s: weft lacks it, neutron %s", at, canonical(nv)))
		case !inN:
			out = append(out, fmt.Sprintf("%s: neutron lacks it, weft %s", at, canonical(wv)))
		default:
			out = append(out, unlike(at, nv, wv)...)
		}
	}
	return out
}

// unlikeLists compares element by element if there are as many, and else tells which
// have no equal on the other side.
func unlikeLists(path string, n, w []any) []string {
	if len(n) == len(w) {
		seen := map[string]bool{}
		var out []string
		for i := range n {
			for _, d := range unlike(path+"[]", n[i], w[i]) {
				if !seen[d] {
					seen[d] = true
					out = append(out, d)
				}
			}
		}
		return out
	}
	var only [2][]string
	for i, pair := range [2][2][]any{{n, w}, {w, n}} {
		for _, e := range pair[0] {
			if !slices.ContainsFunc(pair[1], func(o any) bool { return canonical(o) == canonical(e) }) {
				only[i] = append(only[i], label(e))
			}
		}
	}
	return []string{fmt.Sprintf("%s: neutron has %d, weft %d; only neutron: %.600s; only weft: %.600s", path, len(n), len(w), strings.Join(only[0], " "), strings.Join(only[1], " "))}
}

// byAlias is a list of extensions by their names; nil if it is something else.
func byAlias(list []any) map[string]any {
	out := map[string]any{}
	for _, e := range list {
		m, _ := e.(map[string]any)
		alias, ok := m["alias"].(string)
		if !ok {
			return nil
		}
		out[alias] = e
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// label is an element of a list in few words.
func label(e any) string {
	if m, ok := e.(map[string]any); ok {
		if s, ok := m["name"].(string); ok && s != "" {
			return s
		}
	}
	return canonical(e)
}

// canonical is a value as JSON with sorted members.
func canonical(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	s := string(data)
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(s)
}
