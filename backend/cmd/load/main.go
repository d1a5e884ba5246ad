// Command load asks a server on this machine for predictions, as fast as it answers or at a given
// rate, and prints what came back as JSON: how often each status, and how long it took.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

const most = 100_000_000 // clients, requests, or requests a second

// order is what the command line asks for.
type order struct {
	address string
	clients int
	count   int
	rate    float64
	mark    uint64 // makes every image another one, unless it is 0
	images  [][]byte
}

// summary is what is printed.
type summary struct {
	Seconds  float64             `json:"seconds"`
	Failed   int                 `json:"failed"` // connections that broke
	Statuses map[string]*latency `json:"statuses"`
}

type latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Most  float64 `json:"most_ms"`
}

func main() {
	asked, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	default:
		_ = json.NewEncoder(os.Stdout).Encode(summarise(run(asked)))
	}
}

func parse(args []string, output io.Writer) (*order, error) {
	o := &order{}
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(output)
	flags.StringVar(&o.address, "addr", "127.0.0.1:8080", "`address` of the server, on this machine")
	flags.IntVar(&o.clients, "clients", 1, "connections; each waits for an answer before it asks again")
	flags.IntVar(&o.count, "requests", 1000, "requests of all clients together")
	flags.Float64Var(&o.rate, "rate", 0, "requests a second; 0 is as fast as the server answers")
	unique := flags.Bool("unique", false, "make every image another one, by bytes behind its end")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if o.clients < 1 || o.clients > most || o.count < 1 || o.count > most || !(0 <= o.rate && o.rate <= most) ||
		flags.NArg() == 0 {
		return nil, fmt.Errorf("expected 1 to %d clients and requests, a rate of 0 to %[1]d, and image files", most)
	}
	host, _, err := net.SplitHostPort(o.address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is no address of this machine: expected 127.0.0.1", host)
	}
	if *unique {
		o.mark = uint64(time.Now().UnixNano()) // another run has other images
	}
	for _, path := range flags.Args() {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		o.images = append(o.images, content)
	}
	return o, nil
}

// run sends all requests.
func run(o *order) (found []answer, took time.Duration) {
	answers := make([][]answer, o.clients)
	var group sync.WaitGroup
	start := time.Now()
	turns := &turns{start: start, last: o.count, rate: o.rate}
	for index := range answers {
		group.Go(func() {
			client := newClient(o)
			defer client.close()
			for number := turns.next(); number >= 0; number = turns.next() {
				answers[index] = append(answers[index], client.ask(number))
			}
		})
	}
	group.Wait()
	return slices.Concat(answers...), time.Since(start)
}

// turns says when the next request is due.
type turns struct {
	mutex sync.Mutex
	start time.Time
	given int
	last  int
	rate  float64
}

// next returns the number of a request when it is time to send it; below 0 when all are sent.
func (t *turns) next() int {
	t.mutex.Lock()
	number := t.given
	t.given++
	t.mutex.Unlock()
	if number >= t.last {
		return -1
	}
	if t.rate > 0 {
		due := time.Duration(float64(number) / t.rate * float64(time.Second))
		time.Sleep(time.Until(t.start.Add(due)))
	}
	return number
}

func summarise(answers []answer, took time.Duration) summary {
	times := map[string][]float64{}
	result := summary{Seconds: took.Seconds(), Statuses: map[string]*latency{}}
	for _, one := range answers {
		if one.status == 0 {
			result.Failed++
			continue
		}
		name := strconv.Itoa(one.status)
		times[name] = append(times[name], float64(one.took)/float64(time.Millisecond))
	}
	for name, list := range times {
		slices.Sort(list)
		result.Statuses[name] = &latency{
			len(list), quantile(list, 0.5), quantile(list, 0.99), list[len(list)-1],
		}
	}
	return result
}

// quantile returns the smallest value that at least a share of a sorted list does not exceed.
func quantile(sorted []float64, share float64) float64 {
	index := int(share * float64(len(sorted)))
	if float64(index) == share*float64(len(sorted)) {
		index--
	}
	return sorted[max(index, 0)]
}
