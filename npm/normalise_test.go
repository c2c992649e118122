package npm

import (
	"fmt"
	"testing"
)

func TestPublishNormalises(t *testing.T) {
	tests := []struct{ name, manifest, want string }{
		{"unknown members stay, byte for byte",
			`"x":{ "a" : 1.0e1, "b":"\u0041<&>\/" },"scripts":{},"dependencies":{"a":"workspace:*"},"optionalDependencies":{"a":"1"},"publishConfig":{}`,
			`"x":{ "a" : 1.0e1, "b":"\u0041<&>\/" },"scripts":{},"dependencies":{"a":"workspace:*"},"optionalDependencies":{"a":"1"},"publishConfig":{},` + `"_id":"lib@1.0.0","dist":{}`},
		{"what is the registry's goes",
			`"readme":"x","readmeFilename":"y","_attachments":{},"_resolved":"/home/alice/lib.tgz","_from":"file:lib.tgz","_npmUser":{"name":"mallory"},` +
				`"_hasShrinkwrap":true,"hasInstallScript":false,"gitHead":"abc","_nodeVersion":"22","_npmVersion":"11"`,
			`"readmeFilename":"y","gitHead":"abc","_nodeVersion":"22","_npmVersion":"11","_id":"lib@1.0.0","dist":{}`},
		{"what bun adds goes", `"_id":"lib@1.0.0","_integrity":"sha512-","integrity":"sha512-","shasum":"00","license":"MIT"`,
			`"_id":"lib@1.0.0","license":"MIT","dist":{}`},
		{"dist keeps what it alone has", `"dist":{"integrity":"` + pubIntegrity + `","x":[1],"shasum":"` + pubShasum + `","tarball":"http://evil.example/","fileCount":0,` +
			`"unpackedSize":0,"signatures":[],"npm-signature":"x","attestations":{}},"license":"MIT"`,
			`"dist":{"x":[1]},"license":"MIT","_id":"lib@1.0.0"`},
		{"dist null", `"dist":null`, `"dist":{},"_id":"lib@1.0.0"`},
		{"deprecated for no reason", `"deprecated":"","_id":""`, `"_id":"lib@1.0.0","dist":{}`},
		{"not deprecated", `"deprecated":false,"_id":""`, `"_id":"lib@1.0.0","dist":{}`},
		{"deprecated", `"deprecated":"old","_id":""`, `"deprecated":"old","_id":"lib@1.0.0","dist":{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := fmt.Sprintf(`{"name":"lib","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"lib","version":"1.0.0",%s}}}`, tt.manifest)
			p, err := ParsePublish(&Put{Doc: parsedObject(t, body), Attachments: []Attachment{{Name: "a.tgz", Length: -1, Size: 1}}}, "lib")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(p.Manifest.AppendJSON(nil)), `{"name":"lib","version":"1.0.0",`+tt.want+`}`; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// The rows are what npm-normalize-package-bin 5.0.0 makes of them.
func TestNormaliseBin(t *testing.T) {
	tests := []struct{ name, bin, want string }{
		{"good", `{"a":"x.js","b":"bin\/y.js"}`, `{"a":"x.js","b":"bin\/y.js"}`},
		{"good, in white space", `{ "a" : "x.js" }`, `{ "a" : "x.js" }`},
		{"the package's own command", `"./cli.js"`, `{"lib":"cli.js"}`},
		{"dots in front", `{"a":"./x.js","b":"y.js"}`, `{"a":"x.js","b":"y.js"}`},
		{"a scope in the command", `{"@acme/a":"x.js"}`, `{"a":"x.js"}`},
		{"two commands become one", `{"@acme/a":"x.js","b":"y.js","a":"z.js"}`, `{"a":"z.js","b":"y.js"}`},
		{"out of the package", `{"a":"../../etc/passwd","b":"/etc/passwd"}`, `{"a":"etc/passwd","b":"etc/passwd"}`},
		{"commands out of their directory", `{"../../a":"x.js","C:\\b":"y.js","..":"z.js",".":"z.js","":"z.js"}`, `{"a":"x.js","b":"y.js"}`},
		{"backslashes", `{"a":".\\bin\\x.js"}`, `{"a":"bin/x.js"}`},
		{"targets that are none", `{"a":"x.js","b":1,"c":null,"d":"","e":"./","f":".."}`, `{"a":"x.js"}`},
		{"a list", `["bin/x.js","./y.js",1]`, `{"x.js":"bin/x.js","y.js":"y.js"}`},
		{"no command left", `{"a":1}`, ""},
		{"an empty object", `{}`, ""},
		{"an empty list", `[]`, ""},
		{"an empty string", `""`, ""},
		{"null", `null`, ""},
		{"a number", `1`, ""},
		{"a quote in the target", `{"a":"./\"<x>\".js"}`, `{"a":"\"<x>\".js"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := parsedObject(t, `{"bin":`+tt.bin+`}`)
			if err := o.normaliseBin("@acme/lib"); err != nil {
				t.Fatal(err)
			}
			if got, _ := o.Get("bin"); string(got) != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestHasInstallScript(t *testing.T) {
	tests := []struct {
		name, manifest string
		gyp, want      bool
	}{
		{"no scripts", `{}`, false, false},
		{"others", `{"scripts":{"test":"x","prepare":"x"}}`, false, false},
		{"install", `{"scripts":{"install":"x"}}`, false, true},
		{"preinstall", `{"scripts":{"preinstall":"x"}}`, false, true},
		{"postinstall", `{"scripts":{"postinstall":"x"}}`, false, true},
		{"an empty one", `{"scripts":{"postinstall":""}}`, false, false},
		{"binding.gyp", `{}`, true, true},
		{"binding.gyp that is not to be run", `{"gypfile":false}`, true, false},
		{"binding.gyp and a script of its own", `{"gypfile":false,"scripts":{"install":"x"}}`, true, true},
		{"scripts that are none", `{"scripts":"install"}`, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Publication{Manifest: parsedObject(t, tt.manifest)}
			if got := p.HasInstallScript(TarballInfo{HasGyp: tt.gyp}); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
