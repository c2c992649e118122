package npm

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"
)

var benchTarget = Target{Name: "@acme/bench", Base: "https://npm.acme.example/prefix"}

// bigPackument returns a full document of at least size bytes, with versions
// of the shape and weight of a busy package's on the public registry.
func bigPackument(size int) []byte {
	const manifest = `{"name":"@acme/bench","version":"%[1]s","keywords":["bench","build","a \"quoted\" word"],` +
		`"author":{"name":"Bench Author","email":"bench@acme.example"},"license":"MIT","_id":"@acme/bench@%[1]s",` +
		`"maintainers":[{"name":"alice","email":"alice@acme.example"},{"name":"bob","email":"bob@acme.example"}],` +
		`"homepage":"https://acme.example/bench","bugs":{"url":"https://acme.example/bench/issues"},` +
		`"bin":{"bench":"bin/bench.js"},"dist":{"shasum":"da39a3ee5e6b4b0d3255bfef95601890afd80709",` +
		`"tarball":"https://registry.example/@acme/bench/-/bench-%[1]s.tgz","fileCount":123,` +
		`"integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",` +
		`"signatures":[{"sig":"MEUCIQDJkC0ZV1Yk0hYxD1Cw4q9gVf8gqg1pWlYpXbQYk1m9bgIgK3aN0fE5s2s8YwJc1S0sV4pC0qC1u0y6gq7r5O6p1p0=",` +
		`"keyid":"SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA"}],"unpackedSize":4567890,` +
		`"attestations":{"url":"https://registry.example/-/npm/v1/attestations/@acme%%2fbench@%[1]s","provenance":{"predicateType":"https://slsa.dev/provenance/v1"}}},` +
		`"main":"./lib/index.js","types":"./lib/index.d.ts","engines":{"node":">=18.0.0"},` +
		`"gitHead":"0123456789abcdef0123456789abcdef01234567","scripts":{"test":"vitest run","build":"tsc -b && node build.js","postinstall":"node check.js"},` +
		`"_npmUser":{"name":"alice","email":"alice@acme.example"},"repository":{"type":"git","url":"git+https://acme.example/bench.git"},` +
		`"_npmVersion":"10.9.2","description":"A package that is only here to be rendered, with a description of a common length.",` +
		`"directories":{},"_nodeVersion":"22.12.0","dependencies":{"left-pad":"^1.3.0","right-pad":"^1.0.1","@acme/core":"workspace:*","debug":"^4.3.4"},` +
		`"_hasShrinkwrap":false,"devDependencies":{"typescript":"~5.6.2","vitest":"^2.1.8","eslint":"^9.17.0","prettier":"3.4.2","rollup":"^4.29.1","tslib":"^2.8.1"},` +
		`"peerDependencies":{"react":"^18 || ^19"},"peerDependenciesMeta":{"react":{"optional":true}},` +
		`"_npmOperationalInternal":{"tmp":"tmp/bench_%[1]s_1731000000000_0.123456789","host":"s3://npm-registry-packages-npm-production"}}`

	var versions []string
	var doc strings.Builder
	doc.WriteString(`{"_id":"@acme/bench","_rev":"4711-0123456789abcdef","name":"@acme/bench","dist-tags":{"next":"0.0.1","latest":"0.0.0"},"versions":{`)
	for doc.Len() < size*97/100 { // "time" is the rest
		v := fmt.Sprintf("%d.%d.%d", len(versions)/100, len(versions)/10%10, len(versions)%10)
		if len(versions) > 0 {
			doc.WriteByte(',')
		}
		fmt.Fprintf(&doc, `"%s":`+manifest, v)
		versions = append(versions, v)
	}
	doc.WriteString(`},"time":{"created":"2020-01-01T00:00:00.000Z","modified":"2026-11-22T00:00:00.000Z"`)
	for _, v := range versions {
		fmt.Fprintf(&doc, `,"%s":"2026-01-01T00:00:00.000Z"`, v)
	}
	doc.WriteString(`},"license":"MIT","readme":"# Bench\n\nA \"quoted\" readme.\n","readmeFilename":"README.md"}`)
	return []byte(doc.String())
}

func BenchmarkInspect(b *testing.B) {
	doc := bigPackument(10 << 20)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Inspect(doc, benchTarget.Name); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCheckAndRender is all that is done to a document that has come, but for
// packing.
func BenchmarkCheckAndRender(b *testing.B) {
	doc := bigPackument(10 << 20)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		summary, err := Inspect(doc, benchTarget.Name)
		if err != nil {
			b.Fatal(err)
		}
		summary.Dists(doc, benchTarget.Name)
		if err := Render(io.Discard, doc, Full, benchTarget); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifier hashes a tarball of 1 MB.
func BenchmarkVerifier(b *testing.B) {
	tarball := randomBytes(1 << 20)
	sha1Sum, sha512Sum := sha1.Sum(tarball), sha512.Sum512(tarball)
	for alg, sum := range map[string][]byte{"sha1": sha1Sum[:], "sha512": sha512Sum[:]} {
		b.Run(alg, func(b *testing.B) {
			integrity, err := ParseIntegrity(sri(alg, sum))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(tarball)))
			b.ReportAllocs()
			for b.Loop() {
				v := integrity.Verifier()
				v.Write(tarball)
				if err := v.Verify(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRenderFull(b *testing.B) { benchmarkRender(b, Full) }

func BenchmarkAbbreviate(b *testing.B) { benchmarkRender(b, Abbreviated) }

func benchmarkRender(b *testing.B, form Form) {
	doc := bigPackument(10 << 20)
	t := benchTarget
	t.Form = form
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Render(io.Discard, doc, Full, t); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFindDist is the worst case, the last version of a big document.
func BenchmarkFindDist(b *testing.B) {
	doc := bigPackument(10 << 20)
	last := bytes.LastIndex(doc, []byte(`"_id":"@acme/bench@`)) + len(`"_id":"@acme/bench@`)
	version, _, _ := strings.Cut(string(doc[last:last+20]), `"`)
	file := TarballFile(benchTarget.Name, version)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := FindDist(doc, benchTarget.Name, file); !ok {
			b.Fatal("not found: " + file)
		}
	}
}

// BenchmarkReadPut reads publishes of 1 MB; the figure is of the tarball's
// bytes. Some encoders escape every '/'.
func BenchmarkReadPut(b *testing.B) {
	const tarball = 1 << 20
	data := base64.StdEncoding.EncodeToString(randomBytes(tarball))
	for name, data := range map[string]string{"plain": data, "escaped": strings.ReplaceAll(data, "/", `\/`)} {
		body := putBody(`{"lib-1.0.0.tgz":{"content_type":"application/octet-stream","data":"` + data + `","length":1048576}}`)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(tarball)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadPut(strings.NewReader(body), roomy, func() (io.Writer, error) { return io.Discard, nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("document", func(b *testing.B) {
		doc := bigPackument(10 << 20)
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ReadPut(bytes.NewReader(doc), roomy, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkInspectTarball inspects a package that packs to about 1 MB; the
// figure is of the bytes it unpacks to.
func BenchmarkInspectTarball(b *testing.B) {
	text := strings.Repeat("export const answer = () => 42;\n", 4<<10)
	entries := []tarEntry{goodJSON}
	for i := range 40 {
		entries = append(entries, tarEntry{name: fmt.Sprintf("package/lib/%d.js", i), data: text + string(randomBytes(24<<10))})
	}
	tarball := packed(b, entries...)
	info, err := InspectTarball(bytes.NewReader(tarball))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Unpacked)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := InspectTarball(bytes.NewReader(tarball)); err != nil {
			b.Fatal(err)
		}
	}
}
