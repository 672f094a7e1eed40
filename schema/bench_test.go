package schema

import "testing"

func BenchmarkLift(b *testing.B) {
	s := loadFile(b, "supergraph.graphql")
	b.Run("storefront", func(b *testing.B) {
		// Every valid operation, those of up to 19 KB left out: an ordinary mix.
		var list []Source
		for _, src := range sources(b) {
			if _, err := s.Parse(src.Text, src.Name); err == nil && len(src.Text) < 4<<10 {
				list = append(list, src)
			}
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, err := s.Parse(list[i%len(list)].Text, list[i%len(list)].Name); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	for _, name := range []string{"literals-all-kinds", "product-page-full", "catalog-wall"} {
		b.Run(name, func(b *testing.B) {
			text := string(fixture(b, "operations/"+name+".graphql"))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Parse(text, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, name := range []string{"supergraph.graphql", "cosmo-execution-config.json"} {
		data := fixture(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Load(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
