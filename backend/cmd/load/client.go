package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const patience = time.Minute

// client keeps one connection. It writes requests that are ready as bytes: what it costs must not
// hide what the server costs.
type client struct {
	address  string
	mark     uint64
	requests [][]byte
	conn     net.Conn
	reader   *bufio.Reader
}

// answer is a status, 0 where the connection broke, and the time from asking to the last byte.
type answer struct {
	status int
	took   time.Duration
}

func newClient(o *order) *client {
	c := &client{address: o.address, mark: o.mark}
	for _, image := range o.images {
		size := len(image)
		if o.mark != 0 {
			size += 8
		}
		request := fmt.Appendf(nil, "POST /v1/predict HTTP/1.1\r\nHost: %s\r\n"+
			"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n", o.address, size)
		c.requests = append(c.requests, append(request, image...))
	}
	return c
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// ask sends one request and reads its answer.
func (c *client) ask(number int) answer {
	request := c.requests[number%len(c.requests)]
	if c.mark != 0 {
		mark := c.mark + uint64(number)
		request = binary.BigEndian.AppendUint64(request[:len(request):len(request)], mark)
	}
	start := time.Now()
	status, err := c.exchange(request)
	if err != nil {
		c.close()
		return answer{took: time.Since(start)}
	}
	return answer{status, time.Since(start)}
}

func (c *client) exchange(request []byte) (status int, err error) {
	if c.conn == nil {
		if c.conn, err = net.DialTimeout("tcp", c.address, patience); err != nil {
			return 0, err
		}
		c.reader = bufio.NewReader(c.conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	if response.Close {
		c.close()
	}
	return response.StatusCode, err
}
