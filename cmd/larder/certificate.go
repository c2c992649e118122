package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"larder/metrics"
)

const (
	maxCertBytes = 1 << 20         // of a certificate's file, and of its key's
	certTick     = 5 * time.Second // how often the files are looked at
	certHurry    = 72 * time.Hour  // before its end a certificate ought to have been renewed
)

// certificate is what the server proves to be itself with. Files that change,
// because certbot or cert-manager has renewed them, are taken over while the
// server runs. While they cannot be used it goes on with what it has.
type certificate struct {
	cfg     TLSConfig
	log     *slog.Logger
	metrics *metrics.Metrics
	now     func() time.Time

	current atomic.Pointer[loadedCertificate]
	failure atomic.Pointer[error] // why the files cannot be used now; nil: they can
}

// loadedCertificate is a certificate with a hash of the files that it is from.
type loadedCertificate struct {
	*tls.Certificate
	files [sha256.Size]byte
}

// loadCertificate reads the two files, unless they are those of before, which it
// then returns. The error is a certificateError.
func loadCertificate(cfg TLSConfig, before *loadedCertificate) (*loadedCertificate, error) {
	cert, err := readBounded(cfg.Cert, maxCertBytes)
	if err != nil {
		return nil, certificateError{"tls.cert", err}
	}
	secret, err := readBounded(cfg.Key, maxCertBytes)
	if err != nil {
		return nil, certificateError{"tls.key", err}
	}
	files := sha256.Sum256(slices.Concat(cert, []byte{0}, secret))
	if before != nil && files == before.files {
		return before, nil
	}
	pair, err := tls.X509KeyPair(cert, secret)
	if err != nil {
		return nil, certificateError{"tls.cert", fmt.Errorf("%s and %s are no certificate and its key: %s", cfg.Cert, cfg.Key, strings.TrimPrefix(err.Error(), "tls: "))}
	}
	return &loadedCertificate{&pair, files}, nil
}

// certificateError is what is wrong with what a key of the configuration names.
type certificateError struct {
	key string
	error
}

func (e certificateError) Error() string { return e.key + ": " + e.error.Error() }
func (e certificateError) Unwrap() error { return e.error }

// newCertificate loads the certificate of a server.
func newCertificate(cfg TLSConfig, counters *metrics.Metrics, log *slog.Logger) (*certificate, error) {
	c := &certificate{cfg: cfg, log: log, metrics: counters, now: time.Now}
	loaded, err := loadCertificate(cfg, nil)
	if err != nil {
		return nil, err
	}
	c.use(loaded)
	if err := c.expiry(); err != nil {
		log.Warn("clients will not trust this server", "error", err, "tls.cert", cfg.Cert)
	}
	return c, nil
}

func (c *certificate) use(loaded *loadedCertificate) {
	c.current.Store(loaded)
	c.metrics.Certificate(loaded.Leaf.NotAfter)
}

// config returns the configuration of a listener.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load().Certificate, nil
		},
	}
}

// name returns a host name that the certificate is for, or "".
func (c *certificate) name() string {
	for _, name := range c.current.Load().Leaf.DNSNames {
		if !strings.HasPrefix(name, "*") {
			return name
		}
	}
	return ""
}

// watch takes over new files until ctx is done.
func (c *certificate) watch(ctx context.Context) {
	tick := time.NewTicker(certTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.reload()
		}
	}
}

// reload looks at the files, which are a few kilobytes, and not at their times:
// a secret that Kubernetes mounts changes behind a symbolic link. The two may
// change one after the other, so that an error may be over at the next look.
func (c *certificate) reload() {
	loaded, err := loadCertificate(c.cfg, c.current.Load())
	if err != nil {
		before := c.failure.Swap(&err)
		if before == nil || (*before).Error() != err.Error() {
			c.metrics.CertificateLoaded(false)
			c.log.Error("the TLS certificate cannot be renewed: the one before stays in use", "error", err, "until", c.current.Load().Leaf.NotAfter)
		}
		return
	}
	c.failure.Store(nil)
	if loaded == c.current.Load() {
		return
	}
	c.use(loaded)
	c.metrics.CertificateLoaded(true)
	c.log.Info("the TLS certificate was renewed", "until", loaded.Leaf.NotAfter)
	if err := c.expiry(); err != nil {
		c.log.Warn("clients will not trust this server", "error", err, "tls.cert", c.cfg.Cert)
	}
}

// expiry returns what is wrong with the time for which the certificate is good.
func (c *certificate) expiry() error {
	leaf, now := c.current.Load().Leaf, c.now()
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the TLS certificate has expired on %s", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the TLS certificate is not good before %s", leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// Run is a check of health.
func (c *certificate) Run(context.Context) error {
	var errs []error
	if failed := c.failure.Load(); failed != nil {
		errs = append(errs, *failed)
	}
	if err := c.expiry(); err != nil {
		errs = append(errs, err)
	} else if leaf := c.current.Load().Leaf; leaf.NotAfter.Sub(leaf.NotBefore) > 2*certHurry && leaf.NotAfter.Sub(c.now()) < certHurry {
		errs = append(errs, fmt.Errorf("the TLS certificate expires on %s", leaf.NotAfter.Format(time.RFC3339)))
	}
	return errors.Join(errs...)
}

// checkTLS is part of check.
func (l *loader) checkTLS() {
	switch {
	case l.TLS.Cert != "" && l.TLS.Key == "":
		l.bad("tls.cert", "needs tls.key beside it")
	case l.TLS.Cert == "" && l.TLS.Key != "":
		l.bad("tls.key", "needs tls.cert beside it")
	}
}

// readCertificate is part of readFiles.
func (l *loader) readCertificate() {
	if l.TLS.Cert == "" || l.TLS.Key == "" {
		return
	}
	var wrong certificateError
	if _, err := loadCertificate(l.TLS, nil); errors.As(err, &wrong) {
		l.bad(wrong.key, "%v", wrong.error)
	}
}
