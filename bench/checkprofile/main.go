// Says what is in a profile, in the lines that run.sh compares:
//
//	checkprofile FILE FUNCTION
//
// samples, tasks: all of them. in: the tasks whose stacks have FUNCTION (a C name, or a Go name of
// package main); depth: their frames, at least; functions: the different functions on these stacks.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/pprof/profile"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: checkprofile FILE FUNCTION")
		os.Exit(2)
	}
	file, err := os.Open(os.Args[1])
	if err == nil {
		err = check(file, os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(file *os.File, function string) error {
	read, err := profile.Parse(file)
	if err != nil {
		return err
	}
	if err := read.CheckValid(); err != nil {
		return err
	}
	var tasks, in int64
	depth := 0
	functions := map[string]bool{}
	for _, sample := range read.Sample {
		tasks += sample.Value[0]
		var names []string
		found := false
		for _, location := range sample.Location {
			// A location without a name is a frame all the same.
			if len(location.Line) == 0 {
				names = append(names, "")
			}
			for _, line := range location.Line {
				name := strings.TrimPrefix(line.Function.Name, "main.")
				names = append(names, name)
				found = found || name == function
			}
		}
		if !found && function != "" {
			continue
		}
		in += sample.Value[0]
		if depth == 0 || len(names) < depth {
			depth = len(names)
		}
		for _, name := range names {
			functions[name] = true
		}
	}
	fmt.Printf("samples %d\ntasks %d\nin %d\ndepth %d\nfunctions %d\n", len(read.Sample), tasks, in,
		depth, len(functions))
	return nil
}
