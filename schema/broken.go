package schema

import "errors"

// Breakage is an operation that a new schema refuses, with the first fault in
// it. The message holds no literal of the operation.
type Breakage struct {
	Index   int // of the operation in what Broken was given
	File    string
	Name    string
	Rule    string
	Message string
	Line    int // of File, when there is one, else of the operation's text
	Column  int
}

// Broken returns the operations that next refuses although old accepted them,
// in the order given. What old refused already is no news. A nil old stands
// for one that accepts everything.
func Broken(old, next *Schema, operations []Source) []Breakage {
	var out []Breakage
	for i, op := range operations {
		_, err := next.Parse(op.Text, op.Name)
		if err == nil {
			continue
		}
		if old != nil {
			if _, before := old.Parse(op.Text, op.Name); before != nil {
				continue
			}
		}
		b := Breakage{Index: i, File: op.File, Name: op.Name}
		var faults OperationErrors
		if errors.As(op.Locate(err), &faults) && len(faults) > 0 {
			f := faults[0]
			b.Rule, b.Message, b.Line, b.Column = f.Rule, f.Message, f.Line, f.Column
		}
		out = append(out, b)
	}
	return out
}
