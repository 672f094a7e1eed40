package telemetry

// leastUsed is a heap of operations by aged count, the least used first; of
// equal counts the one that was seen longest ago. Counts only grow between two
// halvings, so an operation's place is corrected when it comes to the top, not
// at each access: an access costs nothing here.
type leastUsed []*operation

func (h leastUsed) less(i, j int) bool {
	a, b := h[i], h[j]
	if a.placeCount != b.placeCount {
		return a.placeCount < b.placeCount
	}
	return a.placeSeen < b.placeSeen
}

func (h leastUsed) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h leastUsed) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.less(i, parent) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h leastUsed) down(i int) {
	for {
		least := 2*i + 1
		if least >= len(h) {
			return
		}
		if right := least + 1; right < len(h) && h.less(right, least) {
			least = right
		}
		if !h.less(least, i) {
			return
		}
		h.swap(i, least)
		i = least
	}
}

// settle gives o the rank that it has now.
func (o *operation) settle() { o.placeCount, o.placeSeen = o.count, o.lastSeen }

func (h *leastUsed) push(o *operation) {
	o.settle()
	o.place = len(*h)
	*h = append(*h, o)
	h.up(o.place)
}

// top returns the least used operation. The heap must not be empty.
func (h leastUsed) top() *operation {
	for {
		o := h[0]
		if o.placeCount == o.count && o.placeSeen == o.lastSeen {
			return o
		}
		o.settle()
		h.down(0)
	}
}

func (h *leastUsed) remove(o *operation) {
	old := *h
	i, last := o.place, len(old)-1
	old.swap(i, last)
	old[last] = nil
	*h = old[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
}

// halve ages all counts. Halving keeps the order, but for what becomes equal.
func (h leastUsed) halve() {
	for _, o := range h {
		o.count /= 2
		o.settle()
	}
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}
