package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/gzip"

	"larder/auth"
	"larder/hosted"
	"larder/npm"
)

// maxStarBody bounds, in bytes, the body of those who may star a package and
// not publish it.
const maxStarBody = 64 << 10

// put answers PUT /NAME: a publish, a deprecation or a star, which only the
// body tells (npm.Put.Kind). Whoever may not publish may still star.
func (s *Server) put(x *exchange, r *http.Request, route npm.Route) error {
	if refusal := s.cfg.Auth.Check(x.caller, auth.Publish, route.Name); refusal != nil {
		return s.putStar(x, r, route.Name, refusal)
	}
	if err := s.checkOwned(r.Context(), route.Name); err != nil {
		return err
	}
	return s.upload(x, r, route.Name, func(u *hosted.Upload, by hosted.Actor) (hosted.Change, error) {
		switch u.Put.Kind(false) {
		case npm.PutPublish:
			x.event.Version = claimedVersion(u.Put.Doc)
			return s.cfg.Hosted.Publish(r.Context(), u, by)
		case npm.PutDeprecate:
			x.event.Action = "deprecate"
			return s.cfg.Hosted.Deprecate(r.Context(), route.Name, u.Put.Doc, by)
		case npm.PutStar:
			x.event.Action = "star"
			return s.starAs(r.Context(), x, route.Name, u.Put.Doc)
		}
		return hosted.Change{}, unsupported(route.Name)
	})
}

// putRevision answers PUT /NAME/-rev/REV: npm's way to take versions out of a
// package's document, or to change its owners.
func (s *Server) putRevision(x *exchange, r *http.Request, route npm.Route) error {
	if route.File != "" {
		return unsupported(route.Name) // attachments on their own, which npm 1 sent
	}
	mayPublish := s.cfg.Auth.Check(x.caller, auth.Publish, route.Name)
	mayUnpublish := s.cfg.Auth.Check(x.caller, auth.Unpublish, route.Name)
	if mayPublish != nil && mayUnpublish != nil {
		return mayUnpublish
	}
	if err := s.checkHosted(r.Context(), route.Name); err != nil {
		return err
	}
	return s.upload(x, r, route.Name, func(u *hosted.Upload, by hosted.Actor) (hosted.Change, error) {
		switch u.Put.Kind(true) {
		case npm.PutOwners:
			x.event.Action = "owner"
			if mayPublish != nil {
				return hosted.Change{}, mayPublish
			}
			return s.cfg.Hosted.SetOwners(r.Context(), route.Name, route.Rev, u.Put.Doc, by)
		case npm.PutVersions:
			if mayUnpublish != nil {
				return hosted.Change{}, mayUnpublish
			}
			return s.cfg.Hosted.SetVersions(r.Context(), route.Name, route.Rev, u.Put.Doc, by)
		}
		return hosted.Change{}, unsupported(route.Name)
	})
}

// deleteRevision answers DELETE /NAME/-rev/REV, which takes a package away, and
// DELETE /NAME/-/FILE/-rev/REV, which takes a tarball away.
func (s *Server) deleteRevision(x *exchange, r *http.Request, route npm.Route) error {
	if err := s.checkHosted(r.Context(), route.Name); err != nil {
		return err
	}
	by := s.actor(r, x)
	var change hosted.Change
	var err error
	if route.File == "" {
		change, err = s.cfg.Hosted.Unpublish(r.Context(), route.Name, route.Rev, by)
	} else {
		x.event.Subject = route.File
		change, err = s.cfg.Hosted.DeleteTarball(r.Context(), route.Name, route.File, route.Rev, by)
	}
	return x.sendChange(change, err, http.StatusOK)
}

// claimedVersion returns the first version of a publish, for the journal: it
// must say of what a publish was refused.
func claimedVersion(doc npm.Object) string {
	raw, _ := doc.Get("versions")
	versions, err := npm.ParseObject(raw)
	if err != nil || len(versions) == 0 {
		return ""
	}
	return versions[0].Key[:min(len(versions[0].Key), maxClaimed)]
}

// maxClaimed bounds, in bytes, what the journal repeats of a client's claims.
const maxClaimed = 256

func unsupported(name string) error {
	return &npm.Error{Kind: npm.Invalid, Op: "proxy.put", Name: name, Msg: "unsupported registry call"}
}

// actor returns who writes, with the address that goes into a package's
// document beside the name.
func (s *Server) actor(r *http.Request, x *exchange) hosted.Actor {
	by := hosted.Actor{Name: x.caller.Name()}
	if x.caller.User != "" {
		if p, err := s.cfg.Auth.Profile(r.Context(), x.caller.User); err == nil {
			by.Email = p.Email // one that cannot be read is left out: it is information only
		}
	}
	return by
}

// upload reads the body of a PUT, and answers with what write makes of it.
func (s *Server) upload(x *exchange, r *http.Request, name string, write func(*hosted.Upload, hosted.Actor) (hosted.Change, error)) error {
	u, err := s.receive(x, r, name)
	if err != nil {
		return err
	}
	defer u.Close()
	change, err := write(u, s.actor(r, x))
	return x.sendChange(change, err, http.StatusCreated)
}

// receive reads the body of a PUT.
func (s *Server) receive(x *exchange, r *http.Request, name string) (*hosted.Upload, error) {
	if limit := s.cfg.Hosted.MaxBody(); r.ContentLength > limit {
		return nil, &npm.Error{Kind: npm.TooLarge, Op: "proxy.receive", Name: name,
			Msg: "the body is too large: a tarball may have what hosted.max_publish says"}
	}
	waiting, cancel := context.WithTimeout(r.Context(), uploadWait)
	defer cancel()
	leave, err := s.uploads.enter(waiting, x.uploader())
	if err != nil {
		return nil, &npm.Error{Kind: npm.Unavailable, Op: "proxy.receive", Name: name, Msg: "too many uploads at once", Err: err}
	}
	defer leave()
	body := patient(x, r)
	defer body.done()
	unpacked, err := unpackedBody(r, body)
	if err != nil {
		return nil, err
	}
	return s.cfg.Hosted.Receive(r.Context(), name, unpacked)
}

// unpackedBody returns a body as it was before the client packed it. What it
// unpacks to is bounded by whoever reads it.
func unpackedBody(r *http.Request, body io.Reader) (io.Reader, error) {
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", identity:
		return body, nil
	case gzipEncoding, "x-gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, &npm.Error{Kind: npm.Invalid, Op: "proxy.unpackedBody", Msg: "the body is not gzip", Err: err}
		}
		return unpacked, nil
	default:
		return nil, &npm.Error{Kind: npm.Invalid, Op: "proxy.unpackedBody", Msg: "bodies packed so are not understood"}
	}
}

// sendChange answers a write. npm and pnpm read the status alone, yarn 1 wants
// JSON without "error".
func (x *exchange) sendChange(c hosted.Change, err error, status int) error {
	x.event.OldRev, x.event.NewRev = c.Old, c.New
	if c.Version != "" {
		x.event.Version = c.Version
	}
	if err != nil {
		return err
	}
	body, err := encode(struct {
		OK      bool   `json:"ok"`
		ID      string `json:"id"`
		Rev     string `json:"rev"`
		Success bool   `json:"success"`
	}{true, x.name, c.New, true})
	if err != nil {
		return err
	}
	x.common(noStore)
	x.writeJSON(status, body)
	return nil
}
