package schema

// Nearest is the known name within two typing errors, or none. Two letters that changed places are one error.
func Nearest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := typos(name, k); d < distance && d < len(name) {
			best, distance = k, d
		}
	}
	return best
}

// typos is the optimal string alignment distance, in bytes.
func typos(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
