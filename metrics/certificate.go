package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificate are the metrics of the server's own TLS certificate.
type certificate struct {
	expiry prometheus.Gauge
	loads  map[string]prometheus.Counter // by outcome
}

func newCertificate(f factory) certificate {
	return certificate{
		expiry: f.gauge("tls_certificate_expiry_timestamp_seconds", "When the server's TLS certificate expires; 0: it speaks plain HTTP."),
		loads:  bind(f.counterVec("tls_certificate_loads_total", "Changed TLS certificates, by whether they could be loaded.", "outcome"), loadOutcomes()),
	}
}

// Certificate tells when the certificate in use expires.
func (m *Metrics) Certificate(expires time.Time) {
	if m != nil {
		m.certificate.expiry.Set(float64(expires.Unix()))
	}
}

// CertificateLoaded counts a certificate that has changed while the server runs.
func (m *Metrics) CertificateLoaded(ok bool) {
	if m == nil {
		return
	}
	outcome := "failed"
	if ok {
		outcome = "ok"
	}
	m.certificate.loads[outcome].Inc()
}
