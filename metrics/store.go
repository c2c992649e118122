package metrics

// StoreUsed sets what the store takes on its volume, in bytes.
func (m *Metrics) StoreUsed(bytes int64) {
	if m != nil {
		m.store.used.Set(float64(bytes))
	}
}

// StoreReserved sets what is set aside for what is being stored, in bytes.
func (m *Metrics) StoreReserved(bytes int64) {
	if m != nil {
		m.store.reserved.Set(float64(bytes))
	}
}

// StoreCapacity sets the bound on the store's size, in bytes; 0: none.
func (m *Metrics) StoreCapacity(bytes int64) {
	if m != nil {
		m.store.capacity.Set(float64(bytes))
	}
}

// StoreFree sets what is free on the store's volume, in bytes.
func (m *Metrics) StoreFree(bytes int64) {
	if m != nil {
		m.store.free.Set(float64(bytes))
	}
}

// StoreFull says whether nothing is stored because nothing can go.
func (m *Metrics) StoreFull(full bool) {
	if m == nil {
		return
	}
	value := 0.0
	if full {
		value = 1
	}
	m.store.full.Set(value)
}

// StoreEvicted counts what was removed: reason is "size", "free", "age" or "orphan".
func (m *Metrics) StoreEvicted(reason string, files, bytes int64) {
	if m != nil && files > 0 {
		pick(m.store.evictedFiles, reason).Add(float64(files))
		pick(m.store.evictedBytes, reason).Add(float64(bytes))
	}
}

// StoreRefused counts an object that was not stored because there was no room.
func (m *Metrics) StoreRefused() {
	if m != nil {
		m.store.refused.Inc()
	}
}
