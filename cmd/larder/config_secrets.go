package main

import (
	"bytes"
	"crypto/x509"
	"strings"

	"larder/upstream"
)

const (
	maxSecretBytes = 64 << 10 // of a token or password
	maxCABytes     = 4 << 20  // of a file of certificate authorities
)

// readFiles reads the secrets that the configuration names, and makes sure of
// the other files that it names.
func (l *loader) readFiles() {
	l.readCertificate()
	l.auths = make([]upstream.Auth, len(l.Upstreams))
	for i, u := range l.Upstreams {
		path := at("upstreams", i)
		switch u.Auth.Type {
		case "bearer":
			l.auths[i].Token = l.secret(path+".auth.token", u.Auth.TokenEnv, u.Auth.TokenFile)
		case "basic":
			l.auths[i].User = u.Auth.User
			l.auths[i].Password = l.secret(path+".auth.password", u.Auth.PasswordEnv, u.Auth.PasswordFile)
		}
		if u.CA != "" {
			l.checkCA(path+".ca", u.CA)
		}
	}
}

// secret returns what a variable or a file holds, without the line break at its
// end. path is that of the two keys, less _env and _file.
func (l *loader) secret(path, variable, file string) string {
	value := l.env[variable]
	switch {
	case variable != "":
		path += "_env"
		if value == "" {
			l.bad(path, "the environment variable %s is not set", variable)
			return ""
		}
	case file != "":
		path += "_file"
		data, err := readBounded(file, maxSecretBytes)
		if err != nil {
			l.bad(path, "%v", err)
			return ""
		}
		if value = string(bytes.TrimRight(data, "\r\n")); value == "" {
			l.bad(path, "%s is empty", file)
			return ""
		}
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		l.bad(path, "the secret holds a control character or more than one line")
		return ""
	}
	return value
}

func (l *loader) checkCA(path, name string) {
	pem, err := readBounded(name, maxCABytes)
	if err != nil {
		l.bad(path, "%v", err)
	} else if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		l.bad(path, "%s holds no certificate in PEM", name)
	}
}
