package test

// publisher is how one client publishes.
type publisher struct {
	name    string
	headers []string
	body    func(base string, r release, tgz archive) object
}

// readme is that of every package.
const readme = "# A package\n\nIts <b>readme</b> & more: čtěte mě."

// publishers are the clients, as their own sources and the wire have it: npm's
// libnpmpublish 11, yarn's cli.js 1.22 and npmPublishUtils.ts 4, bun 1.3.
func publishers() []publisher {
	return []publisher{
		{"npm", []string{"npm-command: publish", "npm-auth-type: web", "Accept: */*"}, npmBody},
		{"npm with a file", []string{"npm-command: publish", "npm-auth-type: web", "Accept: */*"}, fileBody},
		{"yarn 1", []string{corgi}, yarnBody},
		{"yarn 4", []string{"Accept: application/json"}, berryBody},
		{"bun", []string{"npm-auth-type: web", "npm-command: publish", "Accept: */*"}, bunBody},
		{"pnpm 12", []string{"npm-command: publish", "Accept: */*"}, pnpmBody},
	}
}

// npmBody is what npm 11 puts: with a readme in the version, and no access of
// which nobody said anything.
func npmBody(base string, r release, tgz archive) object {
	version := append(r.members(), object{
		{"_id", r.name + "@" + r.version}, {"readme", readme}, {"readmeFilename", "README.md"},
		{"gitHead", "8b137891791fe96927ad78e64b0aad7bded08bdc"}, {"_nodeVersion", "20.20.2"}, {"_npmVersion", "11.19.1"},
		{"dist", tgz.dist(base, r)},
	}...)
	return object{
		{"_id", r.name},
		{"name", r.name},
		{"description", "of the whole"},
		{"dist-tags", object{{r.distTag(), r.version}}},
		{"versions", object{{r.version, version}}},
		{"access", nil},
		{"_attachments", object{{r.key(), tgz.attachment()}}},
	}
}

// fileBody is what npm puts that is given a tarball, by pnpm 10 or by a person:
// the path of it leaks.
func fileBody(base string, r release, tgz archive) object {
	return npmBody(base, r, tgz).at(func(v object) object {
		return append(v, object{
			{"_integrity", tgz.integrity}, {"_resolved", "/tmp/3f2a/leak.tgz"}, {"_from", "file:../../tmp/3f2a/leak.tgz"},
		}...)
	}, "versions", r.version)
}

// yarnBody is what yarn 1 puts.
func yarnBody(base string, r release, tgz archive) object {
	return object{
		{"_id", r.name},
		{"access", "public"},
		{"name", r.name},
		{"description", "of the whole"},
		{"dist-tags", object{{r.distTag(), r.version}}},
		{"versions", object{{r.version, append(r.members(), object{
			{"_id", r.name + "@" + r.version},
			{"dist", object{{"shasum", tgz.shasum}, {"integrity", tgz.integrity}, {"tarball", base + "/" + r.name + "/-/" + r.key()}}},
		}...)}}},
		{"readme", readme},
		{"_attachments", object{{r.key(), tgz.attachment()}}},
	}
}

// berryBody is what yarn 4 puts: the tarball comes before the name.
func berryBody(base string, r release, tgz archive) object {
	version := append(r.members(), object{
		{"_id", r.name + "@" + r.version}, {"gitHead", nil},
		{"dist", object{{"shasum", tgz.shasum}, {"integrity", tgz.integrity}, {"tarball", base + "/" + r.name + "/-/" + r.key()}}},
	}...)
	return object{
		{"_id", r.name},
		{"_attachments", object{{r.key(), tgz.attachment()}}},
		{"name", r.name},
		{"access", "restricted"},
		{"dist-tags", object{{r.distTag(), r.version}}},
		{"versions", object{{r.version, dotted(version)}}},
		{"readme", readme},
	}
}

// bunBody is what bun puts: the hashes once more beside dist.
func bunBody(base string, r release, tgz archive) object {
	return object{
		{"_id", r.name},
		{"name", r.name},
		{"dist-tags", object{{r.distTag(), r.version}}},
		{"versions", object{{r.version, append(r.members(), object{
			{"_id", r.name + "@" + r.version}, {"_integrity", tgz.integrity}, {"_nodeVersion", "24.3.0"}, {"_npmVersion", "10.8.3"},
			{"integrity", tgz.integrity}, {"shasum", tgz.shasum}, {"dist", tgz.dist(base, r)},
		}...)}}},
		{"access", nil},
		{"_attachments", object{{r.key(), tgz.attachment()}}},
	}
}

// pnpmBody is what pnpm 12 puts.
func pnpmBody(base string, r release, tgz archive) object {
	return npmBody(base, r, tgz).without("description").at(dotted, "versions", r.version)
}

// dotted returns a manifest with "./x.js" in its bin where package.json has
// "x.js": yarn 4 and pnpm 12 send that.
func dotted(version object) object {
	if version.index("bin") < 0 {
		return version
	}
	return version.at(func(bin object) object {
		for _, command := range bin {
			bin = bin.with(command.key, "./"+command.value.(string))
		}
		return bin
	}, "bin")
}
