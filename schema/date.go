package schema

import (
	"fmt"
	"time"
)

// Date is a day, without a time zone. The zero date is before all others.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// DateOf is the day of a time, in its time zone.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

// DaysUntil is how many days lie between two dates, negative when the other is earlier.
func (d Date) DaysUntil(other Date) int {
	return int(other.time().Sub(d.time()) / (24 * time.Hour))
}

// IsZero tells whether there is no date.
func (d Date) IsZero() bool { return d == Date{} }

func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// End is the first moment after the day, in UTC.
func (d Date) End() time.Time { return d.time().AddDate(0, 0, 1) }

func (d Date) time() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A day that no calendar has is an error.
func (d *Date) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return err
	}
	*d = DateOf(t)
	return nil
}
