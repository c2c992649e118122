package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestGuard(t *testing.T) {
	needLinux(t)
	if total, available := memInfo("MemTotal"), memInfo("MemAvailable"); total <= 0 || available <= 0 || available > total || memInfo("NoSuchThing") != 0 {
		t.Errorf("%d of %d bytes available", available, total)
	}
	tests := []struct {
		name string
		low  int64
		want string // of the error
	}{
		{"enough memory", 1 << 40, ""},
		{"not enough", 1, "ended when it held "}, // all of it is never available
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("sleep", "600")
			cmd.SysProcAttr = ownGroup()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				_ = cmd.Wait() // it is killed, by the guard or below
				close(ended)
			}()
			i := &Instance{Tree: Tree{cmd.Process.Pid}}
			release := i.guard(tt.low)
			if tt.want != "" {
				select {
				case <-ended:
				case <-time.After(time.Minute):
					t.Error("it was left alone")
				}
			}
			if err := release(); (err != nil) != (tt.want != "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v", err)
			}
			if tt.want == "" {
				if held, err := i.Resident(); err != nil || held <= 0 {
					t.Errorf("it holds %d bytes: %v", held, err)
				}
			}
			_ = cmd.Process.Kill() // an error means that it has ended
			<-ended
		})
	}
}
