// A Pub/Sub server for tests on loopback: Google's own in-memory server, with faults that flags ask for.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"

	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fault answers the first calls of a method with an error.
type fault struct {
	mu   sync.Mutex
	left int
	code codes.Code
}

func (f *fault) React(any) (bool, any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 {
		return false, nil, nil
	}
	f.left--
	return true, nil, status.Error(f.code, "injected fault")
}

// faults reads METHOD=CODE*TIMES, as often as given.
type faults []pstest.ServerReactorOption

func (f *faults) String() string { return "" }

func (f *faults) Set(text string) error {
	method, rest, _ := strings.Cut(text, "=")
	code, times, _ := strings.Cut(rest, "*")
	c, err := strconv.Atoi(code)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	*f = append(*f, pstest.ServerReactorOption{FuncName: method, Reactor: &fault{left: n, code: codes.Code(c)}})
	return nil
}

// unacknowledged counts the messages that nobody has acknowledged.
func unacknowledged(server *pstest.Server) int {
	left := 0
	for _, message := range server.Messages() {
		if message.Acks == 0 {
			left++
		}
	}
	return left
}

func main() {
	var failing faults
	port := flag.Int("port", 0, "port on loopback; 0 for any")
	flag.Var(&failing, "fail", "METHOD=CODE*TIMES")
	flag.Parse()
	server := pstest.NewServerWithAddress(fmt.Sprintf("127.0.0.1:%d", *port), failing...)
	status, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(status, http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(answer, unacknowledged(server))
	}))
	fmt.Println(server.Addr, status.Addr())
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, os.Interrupt)
	<-ended
	server.Close()
}
