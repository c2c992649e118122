package proxy

import (
	"bytes"
	"encoding/json"
)

// object is a JSON object of which most stays as it is.
type object = map[string]json.RawMessage

// repairSearch returns the elements of a search result, at most size and only
// of packages that wanted lets pass, each with a list of maintainers: npm
// crashes where they are missing.
func repairSearch(raw []byte, size int, wanted func(name string) bool) (objects [][]byte, total int, err error) {
	var result struct {
		Objects []object
		Total   int
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return nil, 0, err
	}
	for _, o := range result.Objects {
		var pkg object
		var name string
		if json.Unmarshal(o["package"], &pkg) != nil || json.Unmarshal(pkg["name"], &name) != nil || !wanted(name) {
			continue
		}
		if pkg["maintainers"], err = maintainers(pkg["maintainers"]); err != nil {
			return nil, 0, err
		}
		if o["package"], err = encode(pkg); err != nil {
			return nil, 0, err
		}
		element, err := encode(o)
		if err != nil {
			return nil, 0, err
		}
		objects = append(objects, element)
	}
	return objects[:min(len(objects), size)], max(result.Total, len(objects)), nil
}

// maintainers returns the people of a list of maintainers, none where it is
// not a list. npm reads the username of each, and stops at one that is no
// string; other registries call it name.
func maintainers(raw json.RawMessage) (json.RawMessage, error) {
	var all []json.RawMessage
	people := []object{}
	_ = json.Unmarshal(raw, &all) // what is no list has nobody in it
	for _, m := range all {
		var person object
		if json.Unmarshal(m, &person) != nil {
			continue
		}
		if !isJSONString(person["username"]) && isJSONString(person["name"]) {
			person["username"] = person["name"]
		}
		if isJSONString(person["username"]) {
			people = append(people, person)
		}
	}
	return encode(people)
}

func isJSONString(raw json.RawMessage) bool { return bytes.HasPrefix(raw, []byte(`"`)) }
