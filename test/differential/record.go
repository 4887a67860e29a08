package main

import (
	"encoding/json"
	"os"
)

// record is the normalised answers of a Neutron, by noun, in the order of the
// requests. With it weft is compared where there is no Neutron; it is no part of the
// repository, since only a Neutron knows what a Neutron says.
type record map[string][]recorded

type recorded struct {
	Request string
	outcome
}

// find is the answer to a request, if it was asked at that place.
func (r record) find(noun string, i int, request string) outcome {
	if i < len(r[noun]) && r[noun][i].Request == request {
		return r[noun][i].outcome
	}
	return outcome{Unasked: "is not recorded"}
}

func (r record) add(noun, request string, o outcome) {
	r[noun] = append(r[noun], recorded{request, o})
}

func readRecord(path string) (record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r record
	return r, json.Unmarshal(data, &r)
}

// write keeps the record in a file, beside what that says of other nouns; "" is none.
func (r record) write(path string) error {
	if path == "" {
		return nil
	}
	all := record{}
	if old, err := readRecord(path); err == nil {
		all = old
	}
	for noun, list := range r {
		all[noun] = list
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
