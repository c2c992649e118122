package hosted

import "encoding/base64"

// MaxBody returns the size in bytes above which no body of a PUT can be
// right: the biggest tarball in base64 and everything around it.
func (p *Packages) MaxBody() int64 {
	return int64(base64.StdEncoding.EncodedLen(int(p.maxPublish))) + maxDocument
}
