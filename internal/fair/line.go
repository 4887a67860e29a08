package fair

import "slices"

// Line is what waits, taken in turns: round among owners, and among those who ask in
// one owner's name. The zero value is empty. It is not for use by several goroutines.
type Line[T any] struct {
	ring []*owner[T] // in the order of their turns
}

// owner is somebody with things that wait.
type owner[T any] struct {
	name   string
	n      int
	askers []*asker[T] // in the order of their turns
}

type asker[T any] struct {
	name   string
	things []T
}

// Empty reports whether nothing waits.
func (l *Line[T]) Empty() bool { return len(l.ring) == 0 }

// Waiting is how many things of an owner wait.
func (l *Line[T]) Waiting(of string) int {
	if i := l.owner(of); i >= 0 {
		return l.ring[i].n
	}
	return 0
}

// Len is how many things wait.
func (l *Line[T]) Len() int {
	n := 0
	for _, o := range l.ring {
		n += o.n
	}
	return n
}

func (l *Line[T]) owner(name string) int {
	return slices.IndexFunc(l.ring, func(o *owner[T]) bool { return o.name == name })
}

func (o *owner[T]) asker(name string) int {
	return slices.IndexFunc(o.askers, func(a *asker[T]) bool { return a.name == name })
}

// Add puts something at the end of what one asks for in an owner's name.
func (l *Line[T]) Add(of, who string, thing T) {
	i := l.owner(of)
	if i < 0 {
		i = len(l.ring)
		l.ring = append(l.ring, &owner[T]{name: of})
	}
	o := l.ring[i]
	o.n++
	k := o.asker(who)
	if k < 0 {
		k = len(o.askers)
		o.askers = append(o.askers, &asker[T]{name: who})
	}
	o.askers[k].things = append(o.askers[k].things, thing)
}

// Next takes out what comes next of the owners that may have a turn; ok is false when
// nothing of theirs waits.
func (l *Line[T]) Next(may func(of string) bool) (thing T, ok bool) {
	i := slices.IndexFunc(l.ring, func(o *owner[T]) bool { return may(o.name) })
	if i < 0 {
		return thing, false
	}
	o := l.ring[i]
	l.ring = slices.Delete(l.ring, i, i+1)
	a := o.askers[0]
	o.askers = slices.Delete(o.askers, 0, 1)
	thing, a.things = a.things[0], a.things[1:]
	if len(a.things) > 0 {
		o.askers = append(o.askers, a)
	}
	if o.n--; o.n > 0 {
		l.ring = append(l.ring, o)
	}
	return thing, true
}

// Remove takes out the things that one asks for in an owner's name and that are meant.
func (l *Line[T]) Remove(of, who string, meant func(T) bool) {
	i := l.owner(of)
	if i < 0 {
		return
	}
	o := l.ring[i]
	k := o.asker(who)
	if k < 0 {
		return
	}
	a := o.askers[k]
	before := len(a.things)
	a.things = slices.DeleteFunc(a.things, meant)
	o.n -= before - len(a.things)
	if len(a.things) == 0 {
		o.askers = slices.Delete(o.askers, k, k+1)
	}
	if o.n == 0 {
		l.ring = slices.Delete(l.ring, i, i+1)
	}
}
