package hosted

// Actor is who writes.
type Actor struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Change tells what a write did, for the audit log. Where there was nothing to
// change Old and New are the same.
type Change struct {
	Old, New string // the revisions (_rev) before and after; "": there was, or is, none
	Version  string // that was concerned, if one was
	Repeated bool   // an identical publish had succeeded before
}
