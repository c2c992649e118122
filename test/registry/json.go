package registry

import (
	"encoding/json"
	"strings"

	"github.com/tidwall/gjson"
)

// field is a member of a JSON object whose order matters.
type field struct {
	key string
	raw string // the value, as JSON
}

// object builds a JSON object in the order of its fields, which the registry's
// documents have and Go's maps have not.
func object(fields []field) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quote(f.key))
		b.WriteByte(':')
		b.WriteString(f.raw)
	}
	b.WriteByte('}')
	return b.String()
}

// parseObject takes an object apart; values keep their bytes.
func parseObject(raw string) []field {
	var fields []field
	gjson.Parse(raw).ForEach(func(key, value gjson.Result) bool {
		fields = append(fields, field{key.String(), value.Raw})
		return true
	})
	return fields
}

func lookup(fields []field, key string) (raw string, ok bool) {
	for _, f := range fields {
		if f.key == key {
			return f.raw, true
		}
	}
	return "", false
}

// quote is the JSON form of a string, with '<', '>' and '&' left alone as
// JavaScript leaves them.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
