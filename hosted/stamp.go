package hosted

import (
	"fmt"
	"time"
)

// stampForm is the form of every time in a packument: three decimals and a Z,
// which all clients' parsers have in common.
const stampForm = "2006-01-02T15:04:05.000Z"

// stamp is a time in UTC and whole milliseconds, as it stands in documents.
type stamp struct{ time.Time }

func stampOf(t time.Time) stamp { return stamp{t.UTC().Truncate(time.Millisecond)} }

// after returns s, or the first stamp after o where s is not after o: a
// document's times go forward whatever the clock does.
func (s stamp) after(o stamp) stamp {
	if s.Time.After(o.Time) {
		return s
	}
	return stamp{o.Add(time.Millisecond)}
}

func (s stamp) String() string { return s.Format(stampForm) }

// MarshalJSON writes the form of packuments.
func (s stamp) MarshalJSON() ([]byte, error) { return s.AppendFormat(nil, `"`+stampForm+`"`), nil }

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *stamp) UnmarshalJSON(raw []byte) error {
	t, err := time.Parse(`"`+stampForm+`"`, string(raw))
	if err != nil {
		return fmt.Errorf("%.80q is not a time of the form %s", raw, stampForm)
	}
	s.Time = t
	return nil
}
