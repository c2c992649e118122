package cache

// KeepBlobs returns a DirConfig.Keep for the blobs under keys, wherever they
// lie (in quarantine, too), and for the notes of their owners.
func KeepBlobs(keys []string) func(key string) bool {
	type object struct{ owner, id string }
	objects, owners := make(map[object]bool), make(map[string]bool)
	for _, key := range keys {
		owner, file, err := splitKey(key)
		if err != nil {
			continue // it can be none of the store's
		}
		_, id := splitFile(file)
		objects[object{owner, id}], owners[owner] = true, true
	}
	return func(key string) bool {
		owner, file, err := splitKey(key)
		if err != nil || !owners[owner] {
			return false
		}
		kind, id := splitFile(file)
		return kind == noteKind || objects[object{owner, id}]
	}
}
