package github

import (
	"bytes"
	"io"
	"net/http"
	"sync"
)

const (
	mostCached  = 64
	cachedBytes = 1 << 20 // of one answer
)

// cache keeps answers with their ETag, so that asking again for what has not changed costs nothing of the forge's limit.
type cache struct {
	mu      sync.Mutex
	answers map[string]cached
}

type cached struct {
	header http.Header
	body   []byte
}

func (c *cache) roundTrip(next http.RoundTripper, r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		return next.RoundTrip(r)
	}
	key := r.Header.Get("Accept") + " " + r.URL.String()
	c.mu.Lock()
	known, is := c.answers[key]
	c.mu.Unlock()
	if is {
		r.Header.Set("If-None-Match", known.header.Get("ETag"))
	}
	answer, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if is && answer.StatusCode == http.StatusNotModified {
		return known.answer(answer), nil
	}
	if answer.StatusCode == http.StatusOK && answer.Header.Get("ETag") != "" {
		return c.keep(key, answer)
	}
	return answer, nil
}

// answer is the kept answer with the limits that the forge has told just now.
func (k cached) answer(fresh *http.Response) *http.Response {
	_ = fresh.Body.Close()
	out := *fresh
	out.StatusCode, out.Status = http.StatusOK, "200 OK"
	out.Header = k.header.Clone()
	for name, values := range fresh.Header {
		out.Header[name] = values
	}
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(k.body)), int64(len(k.body))
	return &out
}

func (c *cache) keep(key string, answer *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) > cachedBytes {
		return answer, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.answers) >= mostCached || c.answers == nil {
		c.answers = map[string]cached{}
	}
	c.answers[key] = cached{answer.Header.Clone(), body}
	return answer, nil
}
