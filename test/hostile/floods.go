package main

import (
	"fmt"
	"net/http"
	"strings"
)

// bulk asks for millions of networks at once, as a member and as one who may make none.
func bulk(a *attack) error {
	for _, size := range []int{7_500_000, 1_000_000} {
		body := []byte(`{"networks":[` + strings.Repeat("{},", size/3) + `{}]}`)
		a.together(4, func(i, _ int) {
			by := a.member
			if i%2 == 1 {
				by = a.reader
			}
			a.try(by, http.MethodPost, "/v2.0/networks", body, refused)
		})
	}
	return nil
}

// updates gives a few objects ever other lists, each as long as one may be.
func updates(a *attack) error {
	own := a.Attacker.Own
	for _, n := range []int{500, 250} { // some must be taken, or nothing was tried
		if status := a.try(a.member, http.MethodPut, "/v2.0/ports/"+own["port"], options40(n, 0), whatever); status == http.StatusOK {
			break
		}
	}
	a.together(8, func(i, turn int) {
		path, body := "/v2.0/ports/"+own["port"], options40(500, turn*8+i)
		switch i % 4 {
		case 1:
			path, body = "/v2.0/routers/"+own["router"], map[string]any{"router": map[string]any{"routes": routes(30, turn)}}
		case 2:
			body = map[string]any{"port": map[string]any{"allowed_address_pairs": pairs(10, turn)}}
		case 3:
			path, body = "/v2.0/ports/"+own["port"]+"/tags", map[string]any{"tags": words(50, 60, turn)}
		}
		a.try(a.member, http.MethodPut, path, body, whatever)
	})
	return nil
}

func options40(n, turn int) map[string]any {
	var out []map[string]string
	for i := range n {
		out = append(out, map[string]string{"opt_name": fmt.Sprintf("option-%d-%d", turn, i), "opt_value": strings.Repeat("x", 200)})
	}
	return map[string]any{"port": map[string]any{"extra_dhcp_opts": out}}
}

func routes(n, turn int) []map[string]string {
	var out []map[string]string
	for i := range n {
		out = append(out, map[string]string{"destination": fmt.Sprintf("10.%d.%d.0/24", 100+turn%100, i), "nexthop": "10.5.0.9"})
	}
	return out
}

func pairs(n, turn int) []map[string]string {
	var out []map[string]string
	for i := range n {
		out = append(out, map[string]string{"ip_address": fmt.Sprintf("10.5.%d.%d", turn%200, i)})
	}
	return out
}

// words are n words of a length that differ by turn.
func words(n, length, turn int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("%*d", -length, turn*n+i))
	}
	return out
}

// tags replaces the tags of an object again and again: with as many and as long ones as
// there may be, and with more.
func tags(a *attack) error {
	path := "/v2.0/networks/" + a.Attacker.Own["network"] + "/tags"
	a.together(8, func(i, turn int) {
		n, length, expected := 50, 255, whatever
		if i == 0 {
			n, length, expected = 3500, 255, refused
		}
		a.try(a.member, http.MethodPut, path, map[string]any{"tags": words(n, length, turn*8+i)}, expected)
	})
	return nil
}

// passwords guesses: one user's from many connections, then many users'.
func passwords(a *attack) error {
	const guessers = 160
	callers := make([]*caller, guessers)
	for i := range callers {
		callers[i] = newCaller(a.from, "")
	}
	for _, many := range []bool{false, true} {
		a.together(guessers, func(i, turn int) {
			user := a.Victim.member()
			if many {
				user = fmt.Sprintf("user%d", i)
			}
			status, _ := callers[i].login(user, fmt.Sprint("guess", turn), a.Victim.Name)
			a.mu.Lock()
			a.report.Statuses[status]++
			a.mu.Unlock()
		})
	}
	return nil
}
