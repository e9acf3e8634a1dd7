package schema

// Routing says how Route53 chooses between the records of one name and type. At most one of the fields is set; with none there is
// one record only.
type Routing struct {
	Weight      *int         `json:"weight,omitempty"`      // 0 to 255, as a share of the sum
	Region      string       `json:"region,omitempty"`      // of AWS: the one with the lowest latency answers
	Failover    Failover     `json:"failover,omitempty"`    // the secondary answers while the primary is not healthy
	Geolocation *Geolocation `json:"geolocation,omitempty"` // by where the question comes from
	MultiValue  bool         `json:"multivalue,omitempty"`  // up to eight of those that are healthy
}

// Failover is the part that a record plays.
type Failover string

const (
	Primary   Failover = "primary"
	Secondary Failover = "secondary"
)

// Geolocation is a continent (EU), a country (DE, or * for everywhere else), or a subdivision of one (CA of US).
type Geolocation struct {
	Continent   string `json:"continent,omitempty"`
	Country     string `json:"country,omitempty"`
	Subdivision string `json:"subdivision,omitempty"`
}

// Policies names what is set of the routing, in a fixed order: one word, unless it is mixed up, or none.
func (r Routing) Policies() []string {
	var all []string
	for _, p := range []struct {
		is   bool
		name string
	}{
		{r.Weight != nil, "weighted"},
		{r.Region != "", "latency"},
		{r.Failover != "", "failover"},
		{r.Geolocation != nil, "geolocation"},
		{r.MultiValue, "multivalue"},
	} {
		if p.is {
			all = append(all, p.name)
		}
	}
	return all
}

// Policy is the one word for the routing: simple, weighted, latency, failover, geolocation or multivalue.
func (r Routing) Policy() string {
	if all := r.Policies(); len(all) > 0 {
		return all[0]
	}
	return "simple"
}
