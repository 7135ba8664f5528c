// Command validator checks that pprof profiles obey the rules of everyone who reads them: pprof
// itself, Parca and Grafana Pyroscope. docs/profiles.md lists the rules and whose they are.
//
//	validator [-pyroscope] [-main PATH] FILE…
//
// It prints a line for each rule that a file breaks, and exits with 1 if there was one.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/google/pprof/profile"
)

func main() {
	pyroscope := flag.Bool("pyroscope", false, "hold profiles to Pyroscope's limits too")
	mainBinary := flag.String("main", "", "the main binary's path, as the first mapping must have it")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	broken := false
	for _, name := range flag.Args() {
		data, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		for _, complaint := range validate(data, options{*pyroscope, *mainBinary}) {
			fmt.Printf("%s: %s\n", name, complaint)
			broken = true
		}
	}
	if broken {
		os.Exit(1)
	}
}

type options struct {
	pyroscope  bool
	mainBinary string
}

// validate returns what is wrong with a gzipped profile.
func validate(zipped []byte, o options) []string {
	plain, err := unzip(zipped)
	if err != nil {
		return []string{"gzip: " + err.Error()}
	}
	var complaints []string
	if parsed, err := profile.ParseData(zipped); err != nil {
		complaints = append(complaints, "pprof: "+err.Error())
	} else if err := parsed.CheckValid(); err != nil {
		complaints = append(complaints, "pprof: "+err.Error())
	}
	decoded, err := decode(plain)
	if err != nil {
		return append(complaints, "wire: "+err.Error())
	}
	c := &checker{p: decoded}
	c.check(o.mainBinary)
	if o.pyroscope {
		c.checkPyroscope(len(plain))
	}
	return append(complaints, c.complaints...)
}

func unzip(zipped []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}
